const REQUEST =
  "GET /bench?a=1 HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";

/**
 * Keep-alive connections to one proxy, each with one request at a time. On bare sockets, so that it
 * keeps a proxy busy with less CPU than the proxy needs.
 */
export class Load implements AsyncDisposable {
  readonly #connections: readonly LoadConnection[];

  private constructor(connections: readonly LoadConnection[]) {
    this.#connections = connections;
  }

  static async connect(port: number, connections: number): Promise<Load> {
    return new Load(
      await Promise.all(Array.from({ length: connections }, () => LoadConnection.open(port))),
    );
  }

  /**
   * Sends exactly so many requests and resolves to the seconds it took. Rejects when an answer is not
   * a 200 or a connection ends: a fast error is no measurement.
   */
  async run(requests: number): Promise<number> {
    const startedAt = performance.now();
    let left = requests;
    const takeOne = () => left-- > 0;
    await Promise.all(this.#connections.map((connection) => connection.run(takeOne)));
    return (performance.now() - startedAt) / 1000;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) connection.close();
  }
}

class LoadConnection {
  #socket!: Bun.Socket;
  #received = "";
  #failure: Error | null = null;
  #takeOne: () => boolean = () => false;
  #run: PromiseWithResolvers<void> | null = null;

  static async open(port: number): Promise<LoadConnection> {
    const connection = new LoadConnection();
    connection.#socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        binaryType: "buffer",
        data: (_, data) => connection.#onData(data),
        close: () => connection.#fail(`connection closed after: ${connection.#received}`),
        error: (_, error) => connection.#fail(error.message),
      },
    });
    return connection;
  }

  async run(takeOne: () => boolean): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    if (!takeOne()) return;
    this.#takeOne = takeOne;
    this.#run = Promise.withResolvers();
    this.#socket.write(REQUEST);
    await this.#run.promise;
  }

  close(): void {
    this.#socket.end();
  }

  #onData(data: Buffer): void {
    this.#received += data.toString("latin1");
    if (!isWhole(this.#received)) return;
    if (!this.#received.startsWith("HTTP/1.1 200 ")) {
      this.#fail(`not a 200: ${this.#received}`);
      return;
    }
    this.#received = "";
    if (this.#takeOne()) this.#socket.write(REQUEST);
    else this.#run?.resolve();
  }

  #fail(reason: string): void {
    this.#failure = new Error(reason.slice(0, 200));
    this.#run?.reject(this.#failure);
  }
}

/** Whether the bytes of one response, sent with a length or chunked, are all there. */
function isWhole(response: string): boolean {
  const headEnd = response.indexOf("\r\n\r\n");
  if (headEnd === -1) return false;
  const head = response.slice(0, headEnd).toLowerCase();
  const length = /\r\ncontent-length: *(\d+)/.exec(head)?.[1];
  if (length !== undefined) return response.length >= headEnd + 4 + Number(length);
  return response.endsWith("0\r\n\r\n");
}
