import type { HeaderField } from "../../proxy/front.ts";
import type {
  AttemptFacts,
  AttemptObservedEnd,
  ObservedAttempt,
  ObservedRequest,
  RequestEnd,
  RequestFacts,
  RequestObserver,
  RequestTrace,
} from "../../proxy/observer.ts";
import { METHOD_OTHER } from "../attributes.ts";
import { attemptErrorType, requestErrorType } from "../error-type.ts";
import { counted } from "./counted-status.ts";
import type { SampledSpan } from "./exemplar.ts";
import type { NumberSeries, RegionWriter } from "./region-writer.ts";
import { type BackendSeries, RequestSeries } from "./request-series.ts";

export interface MetricsObserverOptions {
  readonly writer: RegionWriter;
  /** Any other method is `_OTHER`. */
  readonly knownMethods: ReadonlySet<string>;
  /** The clock of the request path: monotonic milliseconds with fractions. */
  readonly now: () => number;
}

/**
 * Counts every request and attempt, traced or not. It touches no header field, and once a
 * combination of labels has been seen it makes nothing but one object per request and attempt.
 */
export function createMetricsObserver(options: MetricsObserverOptions): RequestObserver {
  const { knownMethods, now } = options;
  const series = new RequestSeries(options.writer);
  return {
    requestStarted(facts: RequestFacts, trace: RequestTrace | null = null): ObservedRequest {
      const { method } = facts.request;
      const known = knownMethods.has(method) ? method : METHOD_OTHER;
      return new CountedRequest(series, now, known, facts, trace);
    },
  };
}

class CountedRequest implements ObservedRequest {
  readonly wantsDecision = false;
  readonly #series: RequestSeries;
  readonly #now: () => number;
  readonly #startedAt: number;
  readonly #method: string;
  readonly #scheme: string;
  readonly #version: string;
  readonly #span: SampledSpan | null;
  readonly #active: NumberSeries;
  #pool: string | null = null;
  #route: string | null = null;
  #ended = false;

  constructor(
    series: RequestSeries,
    now: () => number,
    method: string,
    facts: RequestFacts,
    span: SampledSpan | null,
  ) {
    this.#series = series;
    this.#now = now;
    this.#startedAt = facts.startedAt;
    this.#method = method;
    this.#scheme = facts.request.scheme;
    this.#version = facts.request.version;
    this.#span = span;
    this.#active = series.active(method, this.#scheme);
    this.#active.add(1);
  }

  routed(pool: string, route: string | null): void {
    this.#pool = pool;
    this.#route = route;
  }

  attemptStarting(facts: AttemptFacts, trace: RequestTrace | null = null): ObservedAttempt {
    const span = trace ?? this.#span;
    const pool = this.#series.pool(facts.pool);
    if (facts.retryReason !== null) pool.retries(facts.retryReason).add(1);
    const strategy = pool.strategy(facts.strategy.name);
    if (!facts.affinity) strategy.picks.record(facts.pickMs / 1000, span);
    if (facts.fallback) strategy.fallbacks.add(1);
    const backend = this.#series.backend(facts.pool, facts.backend);
    return new CountedAttempt(backend, this.#now, this.#method, span);
  }

  retryRefused(): void {
    if (this.#pool !== null) this.#series.pool(this.#pool).refusals.add(1);
  }

  ended(told: RequestEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    const end = counted(told);
    this.#active.add(-1);
    const durations = this.#series.durations(this.#pool, this.#route, this.#scheme, this.#version);
    durations
      .of(this.#method, end.status, requestErrorType(end))
      .record((this.#now() - this.#startedAt) / 1000, this.#span);
  }
}

const NO_FIELDS: readonly HeaderField[] = [];
const NO_NAMES: readonly string[] = [];

class CountedAttempt implements ObservedAttempt {
  readonly headers = NO_FIELDS;
  readonly removed = NO_NAMES;
  readonly #backend: BackendSeries;
  readonly #now: () => number;
  readonly #startedAt: number;
  readonly #method: string;
  readonly #span: SampledSpan | null;
  #ended = false;

  constructor(backend: BackendSeries, now: () => number, method: string, span: SampledSpan | null) {
    this.#backend = backend;
    this.#now = now;
    this.#startedAt = now();
    this.#method = method;
    this.#span = span;
  }

  connected(): void {}

  reconnecting(): void {
    this.#backend.reconnects.add(1);
  }

  responded(): void {}

  ended(told: AttemptObservedEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    const end = counted(told);
    this.#backend.durations
      .of(this.#method, end.status, attemptErrorType(end))
      .record((this.#now() - this.#startedAt) / 1000, this.#span);
  }
}
