/** Several listeners as one, so that the request path knows of one. */
import type { AttemptNotes } from "../strategy/attempt-notes.ts";
import type { HeaderField } from "../proxy/front.ts";
import type {
  AttemptFacts,
  AttemptObservedEnd,
  ObservedAttempt,
  ObservedRequest,
  RequestEnd,
  RequestFacts,
  RequestObserver,
  RequestTrace,
} from "../proxy/observer.ts";

/**
 * Null when nobody listens, and the listener itself when it is the only one. Put traces first: those
 * that come after a listener are told its `trace`.
 */
export function combineObservers(
  ...observers: readonly (RequestObserver | null)[]
): RequestObserver | null {
  let combined: RequestObserver | null = null;
  for (const observer of observers) {
    if (observer === null) continue;
    combined = combined === null ? observer : new ObserverPair(combined, observer);
  }
  return combined;
}

class ObserverPair implements RequestObserver {
  readonly #one: RequestObserver;
  readonly #two: RequestObserver;

  constructor(one: RequestObserver, two: RequestObserver) {
    this.#one = one;
    this.#two = two;
  }

  requestStarted(facts: RequestFacts, trace: RequestTrace | null = null): ObservedRequest | null {
    const one = this.#one.requestStarted(facts, trace);
    const two = this.#two.requestStarted(facts, one?.trace ?? trace);
    if (one === null) return two;
    return two === null ? one : new RequestPair(one, two);
  }
}

class RequestPair implements ObservedRequest {
  readonly trace: RequestTrace | undefined;
  readonly wantsDecision: boolean;
  readonly #one: ObservedRequest;
  readonly #two: ObservedRequest;

  constructor(one: ObservedRequest, two: ObservedRequest) {
    this.#one = one;
    this.#two = two;
    this.wantsDecision = one.wantsDecision || two.wantsDecision;
    this.trace = one.trace ?? two.trace;
  }

  routed(pool: string, route: string | null): void {
    this.#one.routed(pool, route);
    this.#two.routed(pool, route);
  }

  attemptStarting(facts: AttemptFacts, trace: RequestTrace | null = null): ObservedAttempt | null {
    const one = this.#one.attemptStarting(facts, trace);
    const two = this.#two.attemptStarting(facts, one?.trace ?? trace);
    if (one === null) return two;
    return two === null ? one : new AttemptPair(one, two);
  }

  retryRefused(): void {
    this.#one.retryRefused();
    this.#two.retryRefused();
  }

  ended(end: RequestEnd): void {
    this.#one.ended(end);
    this.#two.ended(end);
  }
}

class AttemptPair implements ObservedAttempt {
  readonly trace: RequestTrace | undefined;
  readonly headers: readonly HeaderField[];
  readonly removed: readonly string[];
  readonly notes: AttemptNotes | undefined;
  readonly #one: ObservedAttempt;
  readonly #two: ObservedAttempt;

  constructor(one: ObservedAttempt, two: ObservedAttempt) {
    this.#one = one;
    this.#two = two;
    this.headers = merged(one.headers, two.headers);
    this.removed = merged(one.removed, two.removed);
    this.notes = one.notes ?? two.notes;
    this.trace = one.trace ?? two.trace;
  }

  connected(durationMs: number): void {
    this.#one.connected(durationMs);
    this.#two.connected(durationMs);
  }

  reconnecting(): void {
    this.#one.reconnecting();
    this.#two.reconnecting();
  }

  responded(status: number): void {
    this.#one.responded(status);
    this.#two.responded(status);
  }

  ended(end: AttemptObservedEnd): void {
    this.#one.ended(end);
    this.#two.ended(end);
  }
}

/** Only traces have any: a list is made for nobody. */
function merged<T>(one: readonly T[], two: readonly T[]): readonly T[] {
  if (two.length === 0) return one;
  return one.length === 0 ? two : [...one, ...two];
}
