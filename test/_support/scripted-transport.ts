import type { ResponseBodyReader } from "../../src/transport/byte-reader.ts";
import type {
  BackendResponse,
  Exchange,
  OutgoingRequest,
  Transport,
} from "../../src/transport/exchange.ts";
import { HandFedReader } from "./byte-reader.ts";

/** A response body that a test feeds by hand, and that has arrived whole only if it says so. */
export class HandFedBody extends HandFedReader implements ResponseBodyReader {
  readonly #whole: string | null;

  constructor(whole: string | null = null) {
    super();
    this.#whole = whole;
  }

  takeWhole(): Uint8Array | null {
    return this.#whole === null ? null : Buffer.from(this.#whole);
  }
}

/** One exchange whose every step a test decides. */
export class ScriptedExchange implements Exchange {
  readonly request: OutgoingRequest;
  readonly response: Promise<BackendResponse>;
  aborted: Error | null = null;
  readonly #response = Promise.withResolvers<BackendResponse>();
  #body: HandFedBody | null = null;

  constructor(request: OutgoingRequest) {
    this.request = request;
    this.response = this.#response.promise;
    this.response.catch(() => {});
  }

  respond(
    status: number,
    body: HandFedBody | null,
    bodyLength: number | null = null,
    headers: BackendResponse["headers"] = [],
  ): void {
    this.#body = body;
    this.#response.resolve({ status, reason: "", headers, body, bodyLength });
  }

  fail(error: Error): void {
    this.#response.reject(error);
  }

  abort(reason: Error): void {
    this.aborted ??= reason;
    this.#response.reject(reason);
    this.#body?.feed(reason);
  }
}

export class ScriptedTransport implements Transport {
  readonly exchanges: ScriptedExchange[] = [];
  readonly #onSend: (exchange: ScriptedExchange) => void;

  /** `onSend` may answer at once; a test may also answer later. */
  constructor(onSend: (exchange: ScriptedExchange) => void = () => {}) {
    this.#onSend = onSend;
  }

  send(request: OutgoingRequest): Exchange {
    const exchange = new ScriptedExchange(request);
    this.exchanges.push(exchange);
    this.#onSend(exchange);
    return exchange;
  }

  close(): void {}
}
