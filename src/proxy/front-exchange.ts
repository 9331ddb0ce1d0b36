/** One request of a client and the answer to it, over Bun's hook. */
import type { ByteReader } from "../transport/byte-reader.ts";
import type { FrontAnswer, FrontRequest } from "./front.ts";
import { IncomingBody } from "./incoming-body.ts";
import {
  GONE,
  type NativeResponse,
  NO_BODY,
  WRITE_CONNECTION_CLOSE,
  WRITE_DATE,
} from "./native-hook.ts";
import { RequestFields, type RequestHeaders } from "./request-fields.ts";
import { parseTarget } from "./request-target.ts";
import type { StallWatch } from "./stall-watch.ts";
import { isChunked } from "./validation.ts";

/** The connection that it came on. */
export interface ExchangeConnection {
  readonly port: number | null;
  readonly peerAddress: string;
  /** It came when there was no room for any more. */
  readonly refused: boolean;
  /** Whether more of the connection should be read may have changed. */
  regulate(): void;
  /** Ends the connection at once and visibly. */
  reset(): void;
}

export interface ExchangeFacts {
  readonly method: string;
  readonly target: string;
  readonly hasBody: boolean;
  /** HTTP/1.0: the runtime ends the connection with the answer. */
  readonly ancient: boolean;
  readonly pipelined: boolean;
  readonly hasCoding: boolean;
}

/**
 * Bytes that the runtime may put into an answer that is being sent when the client sends nonsense behind its
 * request: a 400 of its own, or a 431 of 67 bytes. As the end of a body whose length was told they would pass for it.
 */
const FOREIGN_BYTES = 96;

export class FrontExchange implements FrontRequest {
  readonly method: string;
  readonly scheme = "http";
  readonly target: string;
  readonly authority: string | null;
  readonly headers: RequestHeaders;
  readonly body: IncomingBody | null;
  readonly response: NativeResponse;
  readonly version: "1.0" | "1.1";
  readonly pipelined: boolean;
  /** The runtime may refuse it yet, in this turn of the loop: it looks at codings when we have the request already. */
  readonly doubtful: boolean;
  readonly #connection: ExchangeConnection;
  #gone = false;
  #onGone: (() => void) | null = null;
  /** Of the answer, while it is streamed. */
  #outgoing: ByteReader | null = null;
  #writable: PromiseWithResolvers<void> | null = null;
  /** The client waits for a 100 (RFC 9110, 10.1.1). */
  #expecting: boolean;
  #guarded = false;

  /** To be made in the tick of the dispatch. */
  constructor(response: NativeResponse, connection: ExchangeConnection, facts: ExchangeFacts) {
    this.method = facts.method;
    this.version = facts.ancient ? "1.0" : "1.1";
    this.pipelined = facts.pipelined;
    this.response = response;
    this.#connection = connection;
    const { target, authority } = parseTarget(facts.target);
    this.target = target;
    this.authority = authority;
    this.headers = new RequestFields(response.takeRawHeaders() ?? []);
    this.doubtful = facts.hasCoding && !isChunked(this.headers);
    this.body = facts.hasBody ? this.#receive() : null;
    this.#expecting = facts.hasBody && !facts.ancient && expectsContinue(this.headers);
    response.onabort = (event) => {
      if (event === GONE) this.end();
    };
  }

  get port(): number | null {
    return this.#connection.port;
  }

  get peerAddress(): string {
    return this.#connection.peerAddress;
  }

  get refused(): boolean {
    return this.#connection.refused;
  }

  /** Nothing more should be read from the connection for now. */
  get held(): boolean {
    return this.#guarded || (this.body?.held ?? false);
  }

  /** The client has sent all of the request, or was never told to. */
  get received(): boolean {
    return this.body === null || this.body.ended;
  }

  /** The client got a final answer in place of its 100: it may go on with the body or with the next request. */
  get expecting(): boolean {
    return this.#expecting;
  }

  onGone(callback: () => void): void {
    if (this.#gone) callback();
    else this.#onGone = callback;
  }

  /** The connection has ended. */
  end(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.body?.fail(new Error("the client went away"));
    this.#onGone?.();
    this.#outgoing?.cancel();
    this.#writable?.resolve();
  }

  /** True when the client's side of the kernel has all of it; false when the connection is of no use any more. */
  async send(answer: FrontAnswer, close: boolean, stalls: StallWatch): Promise<boolean> {
    const { response } = this;
    const { body, status } = answer;
    // The runtime would write anything beyond ASCII as UTF-8.
    const reason = /^[\t\x20-\x7e]+$/.test(answer.reason ?? "") ? answer.reason : undefined;
    // From now on whoever reads the answer's body is told.
    this.#onGone = null;
    const toHead = this.method === "HEAD";
    const { fields, length, bits } = flatten(answer, close, toHead);
    if (body !== null && !(body instanceof Uint8Array)) {
      if (this.#gone) {
        body.cancel();
        return false;
      }
      this.#outgoing = body;
      response.writeHead(status, reason, fields, bits);
      response.flushHeaders();
      return await this.#stream(body, length, answer.idleMs, stalls);
    }
    if (this.#gone) return false;
    const bytes = toHead ? undefined : (body ?? undefined);
    const left = response.writeHeadAndEnd(
      status,
      reason,
      fields,
      bytes,
      undefined,
      undefined,
      bits,
    );
    if (left < 0) await this.#drained(answer.idleMs, stalls);
    return !this.#gone;
  }

  async #stream(
    body: ByteReader,
    length: number | null,
    idleMs: number | null,
    stalls: StallWatch,
  ): Promise<boolean> {
    const { response } = this;
    let left = length;
    try {
      for (;;) {
        this.#guard(left);
        const bytes = await body.read();
        if (this.#gone) {
          body.cancel();
          return false;
        }
        if (bytes === null) break;
        if (left !== null) left -= bytes.length;
        if (response.write(bytes) < 0) await this.#drained(idleMs, stalls);
      }
    } catch {
      this.#connection.reset();
      return false;
    }
    this.#outgoing = null;
    if (response.end() < 0) await this.#drained(idleMs, stalls);
    this.#guard(null);
    return !this.#gone;
  }

  /** Keeps nonsense from being seen before the last bytes of the answer are out. */
  #guard(left: number | null): void {
    const guarded = left !== null && left <= FOREIGN_BYTES && this.received;
    if (guarded === this.#guarded) return;
    this.#guarded = guarded;
    this.#connection.regulate();
  }

  /** Until the kernel has taken what was written, or the client went away, or took nothing for too long. */
  async #drained(idleMs: number | null, stalls: StallWatch): Promise<void> {
    const { response } = this;
    if (this.#gone) return;
    const writable = Promise.withResolvers<void>();
    this.#writable = writable;
    response.onwritable = () => writable.resolve();
    const stalled = (): void => this.#connection.reset();
    const watch =
      idleMs === null ? null : stalls.watch(idleMs, stalled, () => response.bufferedAmount);
    await writable.promise;
    watch?.stop();
    response.onwritable = undefined;
    this.#writable = null;
  }

  #receive(): IncomingBody {
    const body = new IncomingBody({
      onWanted: () => this.#continue(),
      onChanged: () => this.#connection.regulate(),
    });
    this.response.ondata = (bytes, isLast, event) => {
      if (event === GONE) body.fail(new Error("the client went away"));
      else body.push(bytes, isLast);
    };
    return body;
  }

  #continue(): void {
    if (!this.#expecting || this.#gone) return;
    this.#expecting = false;
    // Who has begun without it needs none.
    if (this.body?.bytes === 0) this.response.writeContinue();
  }
}

/** Also in a list, and said twice: who would take it for no expectation might read the body as a request. */
function expectsContinue(headers: RequestHeaders): boolean {
  const expect = headers.get("expect");
  if (expect === null) return false;
  return expect.split(",").some((each) => each.trim().toLowerCase() === "100-continue");
}

interface Flat {
  readonly fields: string[];
  readonly length: number | null;
  readonly bits: number;
}

function flatten({ headers, status, body }: FrontAnswer, close: boolean, toHead: boolean): Flat {
  const fields: string[] = [];
  let bits = close ? WRITE_DATE | WRITE_CONNECTION_CLOSE : WRITE_DATE;
  let length: number | null = null;
  for (const [name, value] of headers) {
    // The length of the name rules out nearly every field before anything is lower-cased.
    switch (name.length) {
      case 4:
        if (name.toLowerCase() === "date") bits &= ~WRITE_DATE;
        break;
      case 10:
        // Told by `close`.
        if (name.toLowerCase() === "connection") continue;
        break;
      case 14:
        if (name.toLowerCase() !== "content-length") break;
        // RFC 9110, 8.6.
        if (status === 204) continue;
        length = Number(value);
    }
    fields.push(name, value);
  }
  if (toHead && length === null && body instanceof Uint8Array) {
    fields.push("content-length", String(body.length));
  }
  if (toHead || status === 204 || status === 304) fields.push(...NO_BODY);
  return { fields, length, bits };
}

/** Whether the answer itself ends the connection. */
export function endsConnection({ headers }: FrontAnswer): boolean {
  return headers.some(([name]) => name === "connection");
}
