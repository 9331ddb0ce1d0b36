import type {
  AttemptFacts,
  AttemptObservedEnd,
  ObservedAttempt,
  ObservedRequest,
  RequestEnd,
  RequestFacts,
  RequestObserver,
} from "../../src/proxy/observer.ts";
import type { NoteValue } from "../../src/strategy/attempt-notes.ts";

/** Keeps what the request path tells, of any number of requests. */
export class RecordedFacts implements RequestObserver {
  readonly started: RequestFacts[] = [];
  readonly attempts: AttemptFacts[] = [];
  readonly attemptEnds: AttemptObservedEnd[] = [];
  readonly ends: RequestEnd[] = [];
  /** Everything else, in words. */
  readonly told: string[] = [];
  readonly notes: [name: string, value: unknown][] = [];
  wantsDecision = true;

  requestStarted(facts: RequestFacts): ObservedRequest {
    this.started.push(facts);
    const told = (what: string): void => void this.told.push(what);
    return {
      wantsDecision: this.wantsDecision,
      routed: (pool, route) => told(`routed ${pool} ${route ?? "-"}`),
      attemptStarting: (attempt) => {
        this.attempts.push(attempt);
        return this.#attempt(told);
      },
      retryRefused: () => told("retry refused"),
      ended: (end) => void this.ends.push(end),
    };
  }

  #attempt(told: (what: string) => void): ObservedAttempt {
    return {
      headers: [],
      removed: [],
      notes: {
        setAttribute: (name: string, value: NoteValue) => void this.notes.push([name, value]),
        addEvent: (name: string, attributes: Readonly<Record<string, NoteValue>>) =>
          void this.notes.push([name, attributes]),
      },
      connected: () => told("connected"),
      reconnecting: () => told("reconnecting"),
      responded: (status) => told(`responded ${status}`),
      ended: (end) => void this.attemptEnds.push(end),
    };
  }
}
