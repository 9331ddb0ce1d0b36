const REQUEST =
  "GET /bench?a=1 HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";

export interface Load {
  readonly port: number;
  readonly requests: number;
  /** Keep-alive connections, each with one request at a time. */
  readonly connections: number;
}

/**
 * Sends exactly so many requests and resolves to the seconds it took. Rejects when an answer is not
 * a 200 or a connection ends early: a fast error is no measurement. On bare sockets, so that it keeps
 * a proxy busy with less CPU than the proxy needs.
 */
export async function runLoad({ port, requests, connections }: Load): Promise<number> {
  const startedAt = performance.now();
  let left = requests;
  const takeOne = () => left-- > 0;
  await Promise.all(Array.from({ length: connections }, () => runConnection(port, takeOne)));
  return (performance.now() - startedAt) / 1000;
}

async function runConnection(port: number, takeOne: () => boolean): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let received = "";
  await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      binaryType: "buffer",
      open(socket) {
        if (takeOne()) socket.write(REQUEST);
        else socket.end();
      },
      data(socket, data) {
        received += data.toString("latin1");
        if (!isWhole(received)) return;
        if (!received.startsWith("HTTP/1.1 200 ")) {
          reject(new Error(`not a 200: ${received.slice(0, 200)}`));
          socket.end();
          return;
        }
        received = "";
        if (takeOne()) {
          socket.write(REQUEST);
          return;
        }
        resolve();
        socket.end();
      },
      close() {
        // Rejects only a connection that has not finished.
        if (received === "") resolve();
        reject(new Error(`connection closed inside an answer: ${received.slice(0, 200)}`));
      },
      error(_, error) {
        reject(error);
      },
    },
  });
  await promise;
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
