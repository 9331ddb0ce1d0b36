/** The way back: one backend's response to the client, whole or streamed, and its books closed at the end. */
import type { PoolConfig } from "../config/config.ts";
import { asProxyError, type ProxyError } from "../errors.ts";
import type { ByteReader } from "../transport/byte-reader.ts";
import { isEventStream } from "../transport/event-stream.ts";
import type { BackendResponse } from "../transport/exchange.ts";
import type { AttemptRun } from "./attempt.ts";
import type { FrontAnswer } from "./front.ts";
import { responseHeaders } from "./headers.ts";
import { collectBody } from "./response-body.ts";

export interface AnswerOptions {
  readonly run: AttemptRun;
  readonly response: BackendResponse;
  readonly config: PoolConfig;
  readonly now: () => number;
  /** Why the whole request has ended, whatever the backend may say; null while it goes on. */
  readonly ended: () => ProxyError | null;
  /** The front does not want the rest of the stream. */
  readonly onUnwanted: () => void;
  /** Called once, if the answer began: it has been sent, or broken by the failure. */
  readonly onEnd: (answer: Answer, failure: ProxyError | null) => void;
}

export class Answer {
  readonly #options: AnswerOptions;
  #state: "waiting" | "under way" | "over" = "waiting";
  #beganAt = 0;
  #bytes = 0;

  /** The head is here; the attempt is told. Then either `send` or `drop` it. */
  constructor(options: AnswerOptions) {
    this.#options = options;
    options.run.respond(options.response);
  }

  get underWay(): boolean {
    return this.#state === "under way";
  }

  get status(): number {
    return this.#options.response.status;
  }

  /** When its head was given to the client. */
  get beganAt(): number {
    return this.#beganAt;
  }

  /** Of its body, as far as the client was given it. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Rejects, with the attempt ended, when the body breaks before the front has anything of it. */
  async send(): Promise<FrontAnswer> {
    const { run, response, ended } = this.#options;
    try {
      return await this.#begin();
    } catch (error) {
      const failure = ended() ?? asProxyError(error);
      response.body?.cancel();
      run.fail(failure);
      throw failure;
    }
  }

  /** Another answer is sent in its place. */
  drop(): void {
    this.#options.response.body?.cancel();
    this.#options.run.end("ok", null);
  }

  /** Ends what is under way; a stream that nobody reads any more would never notice. */
  fail(failure: ProxyError): void {
    if (this.#close()) {
      this.#options.run.fail(failure);
      this.#options.onEnd(this, failure);
    }
  }

  async #begin(): Promise<FrontAnswer> {
    const { response, config, now, ended } = this.#options;
    const { status, body } = response;
    const headers = responseHeaders(response.headers, body === null, config.headers.response);
    const { bufferBytes } = config.body;
    let sent: Uint8Array | ByteReader | null = body?.takeWhole(bufferBytes) ?? body;
    if (sent === body && body !== null && isShort(response.bodyLength, bufferBytes)) {
      sent = await collectBody(body, now);
    }
    const reason = ended();
    if (reason !== null) throw reason;
    this.#state = "under way";
    this.#beganAt = now();
    if (sent === null || sent instanceof Uint8Array) {
      this.#bytes = sent?.length ?? 0;
      this.#succeed();
      return { status, headers, body: sent, idleMs: null };
    }
    const idleMs = isEventStream(response.headers) ? null : config.timeouts.idleMs;
    return { status, headers, body: this.#watched(sent), idleMs };
  }

  /** Passes a streamed body on and notices how it ends. */
  #watched(body: ByteReader): ByteReader {
    const { ended, onUnwanted } = this.#options;
    return {
      read: async () => {
        try {
          const bytes = await body.read();
          if (bytes === null) this.#succeed();
          else this.#bytes += bytes.length;
          return bytes;
        } catch (error) {
          const failure = ended() ?? asProxyError(error);
          this.fail(failure);
          throw failure;
        }
      },
      cancel: () => {
        onUnwanted();
        body.cancel();
      },
    };
  }

  #succeed(): void {
    if (this.#close()) {
      this.#options.run.end("ok", null);
      this.#options.onEnd(this, null);
    }
  }

  /** True for the first who asks: the books are closed once. */
  #close(): boolean {
    if (this.#state !== "under way") return false;
    this.#state = "over";
    return true;
  }
}

function isShort(length: number | null, limit: number): boolean {
  return length !== null && length <= limit;
}
