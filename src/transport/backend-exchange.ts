import type { TimeoutConfig } from "../config/config.ts";
import { ProxyError } from "../errors.ts";
import type { Connection } from "./connection.ts";
import type { ConnectWaiter } from "./connector.ts";
import { isEventStream } from "./event-stream.ts";
import type { BackendResponse, Exchange, OutgoingRequest } from "./exchange.ts";
import { type BodySource, ResponseBody } from "./response-body.ts";
import { MalformedResponse, type ParsedHead } from "./response-head.ts";
import { ResponseParser, type ResponseSink } from "./response-parser.ts";
import type { Ticker } from "./ticker.ts";
import { TransportError } from "./transport-error.ts";
import { Upload, type UploadWatcher } from "./upload.ts";

/** Response bytes that may wait for their reader before the backend is held back. */
const BUFFER_BYTES = 64 * 1024;

export interface ExchangeOwner {
  readonly ticker: Ticker;
  readonly timeouts: TimeoutConfig;
  /** The message is over and the connection in step: it may be used again. */
  onReusable(connection: Connection, keepAliveMs: number | null): void;
  /** Exactly once. */
  onExchangeEnded(exchange: BackendExchange): void;
}

/** One request and its response over one connection. */
export class BackendExchange
  implements Exchange, ConnectWaiter, BodySource, ResponseSink, UploadWatcher
{
  readonly response: Promise<BackendResponse>;

  readonly #request: OutgoingRequest;
  readonly #owner: ExchangeOwner;
  readonly #parser: ResponseParser;
  readonly #resolve: (response: BackendResponse) => void;
  readonly #reject: (error: Error) => void;
  #connection: Connection | null = null;
  #reused = false;
  #upload: Upload | null = null;
  #body: ResponseBody | null = null;
  #head: ParsedHead | null = null;
  #heard = false;
  #eventStream: boolean | null = null;
  #ended = false;
  /** Tick of the last byte either way. */
  #activeTick = 0;

  constructor(request: OutgoingRequest, owner: ExchangeOwner) {
    this.#request = request;
    this.#owner = owner;
    this.#parser = new ResponseParser(request.method, this);
    const { promise, resolve, reject } = Promise.withResolvers<BackendResponse>();
    this.response = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Sends the request over a connection that is open. */
  start(connection: Connection): void {
    this.#connection = connection;
    this.#reused = connection.reused;
    connection.owner = this;
    connection.wrote = false;
    this.onProgress();
    const { body, bodyLength, head } = this.#request;
    const bytes = Buffer.from(head, "latin1");
    if (body === null) {
      connection.write(bytes);
      return;
    }
    this.#upload = new Upload(bytes, body, bodyLength, connection, this);
    this.#upload.start();
  }

  abort(reason: Error): void {
    if (this.#ended) return;
    this.#request.body?.cancel();
    this.#fail(reason);
  }

  /** Called at every tick while the exchange lasts. */
  onTick(): void {
    if (this.#connection === null) return;
    const { ticker, timeouts } = this.#owner;
    const idle = ticker.passed(this.#activeTick, timeouts.idleMs);
    if (this.#head !== null && (!this.#body?.awaited || this.#mayBeSilent)) {
      // A reader that does not read keeps the backend from writing: its silence says nothing.
      this.onProgress();
    } else if (this.#upload?.awaitsClient) {
      if (idle) this.#fail(clientStalled());
    } else if (this.#head !== null) {
      if (idle) this.#fail(idleTimeout());
    } else if (ticker.passed(this.#activeTick, timeouts.firstByteMs)) {
      this.#fail(firstByteTimeout());
    }
  }

  onConnected(connection: Connection, durationMs: number): void {
    if (this.#ended) {
      this.#owner.onReusable(connection, null);
      return;
    }
    this.#request.onConnect?.(durationMs);
    if (!this.#ended) this.start(connection);
  }

  onConnectFailed(error: ProxyError): void {
    this.#fail(error);
  }

  onData(connection: Connection, bytes: Buffer): void {
    const parser = this.#parser;
    const { interim } = parser;
    this.#heard = true;
    try {
      parser.push(bytes);
    } catch (error) {
      this.#fail(badResponse(error, this.#head !== null));
      return;
    }
    if (parser.complete) {
      this.#finish();
      return;
    }
    // Bytes of an unfinished head are no progress, or a backend could drip one for ever.
    if (this.#head !== null || parser.interim > interim) this.onProgress();
    if (this.#body !== null && this.#body.buffered > BUFFER_BYTES) connection.pause();
  }

  onDrain(): void {
    this.#upload?.drained();
    this.onProgress();
  }

  onEnd(connection: Connection): void {
    // A body that ends with the connection must not pass for whole when it may have been a reset.
    if (!connection.writeFailed && this.#parser.end()) this.#finish();
    else this.#fail(this.#broken(undefined));
  }

  onClosed(_connection: Connection, error: Error | undefined): void {
    this.#fail(this.#broken(error));
  }

  onHead(head: ParsedHead): void {
    this.#head = head;
    if (head.framing !== "none") this.#body = new ResponseBody(this);
    this.#resolve({
      status: head.status,
      reason: head.reason,
      headers: head.headers,
      body: this.#body,
      bodyLength: head.bodyLength,
    });
  }

  onBody(piece: Buffer): void {
    this.#body?.push(piece);
  }

  onTaken(): void {
    this.onProgress();
    const connection = this.#connection;
    if (connection?.paused && (this.#body?.buffered ?? 0) <= BUFFER_BYTES) connection.resume();
  }

  onCancelled(reason: Error): void {
    this.#fail(reason);
  }

  onProgress(): void {
    this.#activeTick = this.#owner.ticker.tick;
  }

  onUploadFailed(error: Error): void {
    this.#fail(error);
  }

  /** The whole response is here (perhaps not read yet). */
  #finish(): void {
    const connection = this.#connection;
    if (this.#ended || connection === null) return;
    this.#ended = true;
    this.#connection = null;
    this.#body?.end();
    const { head, overrun } = this.#parser;
    if (this.#upload !== null && !this.#upload.sent) {
      // The rest of the request would have to be sent before the connection could be used again.
      this.#upload.stop();
      connection.reset();
      this.#request.body?.cancel();
    } else if (head?.persistent === true && !overrun && connection.flushed) {
      this.#owner.onReusable(connection, head.keepAliveMs);
    } else {
      connection.close();
    }
    this.#owner.onExchangeEnded(this);
  }

  #fail(error: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    const connection = this.#connection;
    this.#connection = null;
    this.#upload?.stop();
    connection?.reset();
    if (this.#head === null) {
      // Nobody may be listening yet, or any more; that must not end the process.
      this.response.catch(ignore);
      this.#reject(error);
    } else {
      this.#body?.fail(error);
      this.#request.body?.cancel();
    }
    this.#owner.onExchangeEnded(this);
  }

  #broken(error: Error | undefined): TransportError {
    if (this.#head !== null) {
      return new TransportError("reset", "the backend broke off its response", {
        outcome: "truncated",
        retry: "never",
        cause: error,
      });
    }
    return new TransportError("reset", "the backend closed the connection without a response", {
      outcome: "reset",
      retry: this.#connection?.wrote === false ? "always" : "idempotent",
      stale: this.#reused && !this.#heard,
      cause: error,
    });
  }

  /** Server-sent events may be silent for as long as they like. */
  get #mayBeSilent(): boolean {
    this.#eventStream ??= isEventStream(this.#head?.headers ?? []);
    return this.#eventStream;
  }
}

/**
 * Never repeated: the backend has answered, only not in a way that can be passed on, and `retry.on` has no
 * word for it (design: connect, reset, timeout, 502, 503, 504).
 */
function badResponse(error: unknown, afterHead: boolean): TransportError {
  const detail = error instanceof MalformedResponse ? `: ${error.message}` : "";
  const what = afterHead
    ? "the backend's response body is malformed"
    : "the backend's response is malformed";
  return new TransportError("bad_response", `${what}${detail}`, {
    outcome: "invalid",
    retry: "never",
    cause: error,
  });
}

function firstByteTimeout(): TransportError {
  return new TransportError("first_byte_timeout", "the backend did not respond in time", {
    outcome: "timeout",
    retry: "idempotent",
  });
}

function idleTimeout(): TransportError {
  return new TransportError(
    "idle_timeout",
    "the backend fell silent in the middle of its response",
    {
      outcome: "timeout",
      retry: "never",
    },
  );
}

/** Not the backend's doing, or clients that send slowly could get every backend ejected. */
function clientStalled(): ProxyError {
  return new ProxyError("body_timeout", "the client stopped sending its request body", {
    source: "client",
  });
}

function ignore(): void {}
