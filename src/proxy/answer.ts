/** The way back: one backend's response to the client, whole or streamed, and its books closed at the end. */
import type { PoolConfig } from "../config/config.ts";
import { asProxyError, type ProxyError } from "../errors.ts";
import type { ByteReader } from "../transport/byte-reader.ts";
import { isEventStream } from "../transport/event-stream.ts";
import type { BackendResponse } from "../transport/exchange.ts";
import type { AttemptRun } from "./attempt.ts";
import type { FrontAnswer } from "./front.ts";
import { responseHeaders } from "./headers.ts";

export interface AnswerOptions {
  readonly run: AttemptRun;
  readonly response: BackendResponse;
  readonly config: PoolConfig;
  /** Of the client's session, besides the backend's own; null: none. */
  readonly setCookie: string | null;
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

  /** Throws, with the attempt ended, when the whole request has ended before. */
  send(): FrontAnswer {
    const { run, response, ended } = this.#options;
    try {
      return this.#begin();
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

  #begin(): FrontAnswer {
    const { response, config, setCookie, now, ended } = this.#options;
    const { status, reason, body } = response;
    const headers = responseHeaders(response.headers, config.headers.response);
    if (setCookie !== null) headers.push(["set-cookie", setCookie]);
    const idleMs = isEventStream(response.headers) ? null : config.timeouts.idleMs;
    const over = ended();
    if (over !== null) throw over;
    this.#state = "under way";
    this.#beganAt = now();
    if (status === 205 && body !== null) {
      // It has none, whatever was sent (RFC 9110, 15.3.6).
      body.cancel();
      this.#succeed();
      const bare = headers.filter(([name]) => name.toLowerCase() !== "content-length");
      return { status, reason, headers: bare, body: null, idleMs };
    }
    // What is here already costs one write, and no turn of the loop.
    const whole = body?.takeWhole() ?? null;
    if (body === null || whole !== null) {
      this.#bytes = whole?.length ?? 0;
      this.#succeed();
      return { status, reason, headers, body: whole, idleMs };
    }
    return { status, reason, headers, body: this.#watched(body), idleMs };
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
