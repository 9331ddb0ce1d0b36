import type { Admission } from "../balance/admission.ts";
import type { Settlement } from "../balance/settle.ts";
import type { ErrorCode, ProxyError } from "../errors.ts";
import type { Attempt, HeaderReader, Outcome, RequestInfo } from "../plugin.ts";
import type { PoolBackend } from "../pool/backend.ts";
import type { AttemptNotes } from "../strategy/attempt-notes.ts";
import type { StrategyHost } from "../strategy/host.ts";
import type { ResponseHead } from "../transport/exchange.ts";
import { TransportError } from "../transport/transport-error.ts";
import type { HeaderField } from "./front.ts";
import type { ObservedAttempt } from "./observer.ts";
import type { SampledAttempt } from "./shadow-feed.ts";

export interface AttemptRunOptions {
  readonly id: number;
  readonly number: number;
  readonly backend: PoolBackend;
  readonly request: RequestInfo;
  readonly admission: Admission;
  readonly settlement: Settlement;
  /** The strategy instance that was current at the start; it gets the end too, even after a swap. */
  readonly host: StrategyHost;
  readonly observed: ObservedAttempt | null;
  /** Null: no shadow is shown it. */
  readonly sampled: SampledAttempt | null;
  readonly now: () => number;
}

/** The books of one attempt: started once, ended once, whatever happens in between. */
export class AttemptRun {
  readonly backend: PoolBackend;
  readonly observed: ObservedAttempt | null;
  readonly #options: AttemptRunOptions;
  readonly #attempt: Attempt;
  #status: number | null = null;
  #firstByteMs: number | null = null;
  #ended = false;

  constructor(options: AttemptRunOptions) {
    this.#options = options;
    this.backend = options.backend;
    this.observed = options.observed;
    this.#attempt = Object.freeze({
      id: options.id,
      backend: options.backend,
      number: options.number,
      request: options.request,
      startedAt: options.now(),
    });
    options.host.onStart(this.#attempt, this.#notes);
  }

  /** Whether the response head is there: from then on nothing is repeated. */
  get responded(): boolean {
    return this.#status !== null;
  }

  get #notes(): AttemptNotes | null {
    return this.observed?.notes ?? null;
  }

  respond(head: ResponseHead): void {
    this.#status = head.status;
    this.#firstByteMs = this.#options.now() - this.#attempt.startedAt;
    this.#options.settlement.responded(head.status);
    this.observed?.responded(head.status);
    const seen = Object.freeze({
      status: head.status,
      firstByteMs: this.#firstByteMs,
      headers: new FieldReader(head.headers),
      upgraded: false,
    });
    this.#options.sampled?.responded(seen, head.headers);
    this.#options.host.onResponse(this.#attempt, seen, this.#notes);
  }

  /** `end` with what `failure` says of the backend: what did not go wrong there must not be held against it. */
  fail(failure: ProxyError): void {
    const blameless = failure.source === "backend" ? "timeout" : "client_gone";
    this.end(failure instanceof TransportError ? failure.outcome : blameless, failure.code);
  }

  /**
   * Only the first call counts. `error` is our error code, null when it went well. `blamed`: false
   * when whatever happened says nothing about the backend.
   */
  end(outcome: Outcome, error: ErrorCode | null, blamed = true): void {
    if (this.#ended) return;
    this.#ended = true;
    const { admission, settlement, host, sampled, now } = this.#options;
    if (blamed) settlement.ended(outcome);
    admission.release();
    const seen = Object.freeze({
      outcome,
      status: this.#status,
      firstByteMs: this.#firstByteMs,
      durationMs: now() - this.#attempt.startedAt,
    });
    sampled?.ended(seen);
    // Before the span ends, after which it takes no notes.
    host.onEnd(this.#attempt, seen, this.#notes);
    this.observed?.ended({ outcome, status: this.#status, error });
  }
}

/** Finds fields by name without building an object for those who never ask. */
class FieldReader implements HeaderReader {
  readonly #fields: readonly HeaderField[];

  constructor(fields: readonly HeaderField[]) {
    this.#fields = fields;
    Object.freeze(this);
  }

  get(name: string): string | null {
    const wanted = name.toLowerCase();
    const values = this.#fields.filter(([field]) => field.toLowerCase() === wanted);
    return values.length === 0 ? null : values.map(([, value]) => value).join(", ");
  }

  has(name: string): boolean {
    return this.get(name) !== null;
  }

  static {
    // A strategy can reach the prototype, which the readers of all pools share.
    Object.freeze(FieldReader.prototype);
  }
}
