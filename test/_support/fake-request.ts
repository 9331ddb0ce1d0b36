/** One request as a fake backend received it. */
export class FakeRequest {
  /** How many requests the backend had seen before. */
  readonly index: number;
  /** How many connections the backend had accepted before this request's. */
  readonly connection: number;
  readonly method: string;
  readonly target: string;
  readonly version: string;
  /** In the order and case of the wire, repeats included. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Request line and fields, byte by byte, with the empty line. */
  readonly rawHead: Buffer;
  /** Body bytes without their chunk framing; counted even when they are not kept. */
  bodyLength = 0;
  complete = false;
  /** How the connection ended before the request was complete. */
  brokenOff: "fin" | "reset" | null = null;

  readonly #pieces: Uint8Array[] = [];
  readonly #rawPieces: Uint8Array[] = [];

  constructor(index: number, connection: number, rawHead: Buffer) {
    this.index = index;
    this.connection = connection;
    this.rawHead = rawHead;
    const [line = "", ...fields] = rawHead.toString("latin1", 0, rawHead.length - 4).split("\r\n");
    const [method = "", target = "", version = "", ...more] = line.split(" ");
    if (more.length > 0 || !/^HTTP\/1\.[01]$/.test(version))
      throw new Error(`bad request line: ${line}`);
    this.method = method;
    this.target = target;
    this.version = version;
    this.headers = fields.map((field) => {
      const parts = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$/.exec(
        field,
      );
      if (parts === null) throw new Error(`bad header line: ${JSON.stringify(field)}`);
      return [parts[1] as string, parts[2] as string] as const;
    });
  }

  /** Every value of a field, in order. */
  all(name: string): string[] {
    return this.headers
      .filter(([known]) => known.toLowerCase() === name.toLowerCase())
      .map(([, value]) => value);
  }

  /** The only value of a field; null when it is not there. Throws when it is repeated. */
  header(name: string): string | null {
    const values = this.all(name);
    if (values.length > 1)
      throw new Error(`${name} was sent ${values.length} times: ${values.join(" | ")}`);
    return values[0] ?? null;
  }

  /** What has arrived of the body so far. Empty when the backend does not keep bodies. */
  get body(): Buffer {
    return Buffer.concat(this.#pieces);
  }

  get text(): string {
    return this.body.toString("utf8");
  }

  /** Head and body as they were on the wire, chunk framing included. */
  get raw(): Buffer {
    return Buffer.concat([this.rawHead, ...this.#rawPieces]);
  }

  addBody(piece: Uint8Array, keep: boolean): void {
    this.bodyLength += piece.length;
    if (keep) this.#pieces.push(piece);
  }

  addRaw(piece: Uint8Array): void {
    this.#rawPieces.push(piece);
  }
}

/** Finds the end of one request body; throws on framing that a strict server would refuse. */
export class RequestBodyReader {
  done: boolean;
  readonly #chunked: boolean;
  #remaining: number;
  #line = "";
  #phase: "size" | "data" | "data-end" | "trailer" = "size";

  constructor(request: FakeRequest) {
    const length = request.header("content-length");
    const coding = request.header("transfer-encoding");
    if (length !== null && coding !== null)
      throw new Error("both Content-Length and Transfer-Encoding");
    if (coding !== null && coding !== "chunked") throw new Error(`Transfer-Encoding: ${coding}`);
    if (length !== null && !/^[0-9]+$/.test(length)) throw new Error(`Content-Length: ${length}`);
    this.#chunked = coding !== null;
    this.#remaining = Number(length ?? 0);
    this.done = !this.#chunked && this.#remaining === 0;
  }

  /** Returns how many bytes belong to the body. */
  push(bytes: Buffer, onBody: (piece: Buffer) => void): number {
    let at = 0;
    while (at < bytes.length && !this.done) {
      if (!this.#chunked || this.#phase === "data") {
        const to = Math.min(bytes.length, at + this.#remaining);
        onBody(bytes.subarray(at, to));
        this.#remaining -= to - at;
        at = to;
        if (this.#remaining > 0) continue;
        if (this.#chunked) this.#phase = "data-end";
        else this.done = true;
        continue;
      }
      this.#line += String.fromCharCode(bytes[at++] as number);
      if (this.#line.endsWith("\r\n")) this.#takeLine(this.#line.slice(0, -2));
      else if (this.#line.length > 100) throw new Error("a chunk line that does not end");
    }
    return at;
  }

  #takeLine(line: string): void {
    this.#line = "";
    if (this.#phase === "size") {
      if (!/^[0-9a-fA-F]{1,13}$/.test(line))
        throw new Error(`bad chunk size: ${JSON.stringify(line)}`);
      this.#remaining = Number.parseInt(line, 16);
      this.#phase = this.#remaining === 0 ? "trailer" : "data";
    } else if (line !== "") {
      throw new Error(`no CRLF where one belongs: ${JSON.stringify(line)}`);
    } else if (this.#phase === "data-end") {
      this.#phase = "size";
    } else {
      this.done = true;
    }
  }
}
