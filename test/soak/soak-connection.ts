/** A client's connection: one request at a time, the answer checked as it comes. */
import type { Socket } from "bun";
import { MalformedResponse, type ParsedHead } from "../../src/transport/response-head.ts";
import { ResponseParser } from "../../src/transport/response-parser.ts";

export type SoakAnswer =
  | { readonly failure: string }
  | { readonly failure: null; readonly head: ParsedHead; readonly body: Buffer };

interface Exchange {
  readonly parser: ResponseParser;
  readonly heads: ParsedHead[];
  readonly pieces: Buffer[];
  settle(answer: SoakAnswer): void;
}

/** Nothing in the soak takes a tenth of it. */
const HANG_MS = 30_000;

export class SoakConnection {
  /** Whether another request may be sent. */
  usable = true;
  #socket: Socket | null = null;
  #unsent: Buffer = Buffer.alloc(0);
  #exchange: Exchange | null = null;

  /** Rejects when there is nobody. */
  static async open(port: number): Promise<SoakConnection> {
    const connection = new SoakConnection();
    const over = (): void => connection.#over();
    connection.#socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_socket, piece) => connection.#receive(piece),
        drain: () => connection.#flush(),
        end: over,
        close: over,
        error: over,
      },
    });
    return connection;
  }

  /** Never rejects. */
  async send(method: string, request: Buffer): Promise<SoakAnswer> {
    if (!this.usable) return { failure: "closed before an answer" };
    const { promise, resolve } = Promise.withResolvers<SoakAnswer>();
    const heads: ParsedHead[] = [];
    const pieces: Buffer[] = [];
    const sink = {
      onHead: (head: ParsedHead) => heads.push(head),
      onBody: (piece: Buffer) => pieces.push(Buffer.from(piece)),
    };
    this.#exchange = { parser: new ResponseParser(method, sink), heads, pieces, settle: resolve };
    this.#unsent = request;
    this.#flush();
    const timer = setTimeout(() => this.#fail(`no end within ${HANG_MS} ms`), HANG_MS);
    const answer = await promise;
    clearTimeout(timer);
    return answer;
  }

  close(): void {
    this.usable = false;
    this.#socket?.end();
  }

  #flush(): void {
    if (this.#unsent.length === 0 || this.#socket === null) return;
    this.#unsent = this.#unsent.subarray(Math.max(0, this.#socket.write(this.#unsent)));
  }

  #receive(piece: Buffer): void {
    const exchange = this.#exchange;
    if (exchange === null) {
      this.usable = false;
      return;
    }
    const { parser, heads, pieces, settle } = exchange;
    try {
      parser.push(piece);
    } catch (error) {
      if (!(error instanceof MalformedResponse)) throw error;
      this.#fail("malformed answer");
      return;
    }
    if (!parser.complete) return;
    const [head] = heads;
    if (head === undefined || parser.overrun) return this.#fail("bytes behind an answer");
    this.#exchange = null;
    if (closes(head)) this.close();
    settle({ failure: null, head, body: Buffer.concat(pieces) });
  }

  #over(): void {
    this.usable = false;
    const begun = (this.#exchange?.heads.length ?? 0) > 0;
    this.#fail(begun ? "broken answer" : "closed before an answer");
  }

  #fail(failure: string): void {
    this.close();
    const exchange = this.#exchange;
    this.#exchange = null;
    exchange?.settle({ failure });
  }
}

function closes(head: ParsedHead): boolean {
  return head.headers.some(
    ([name, value]) => name.toLowerCase() === "connection" && value.toLowerCase() === "close",
  );
}
