import type {
  AttemptFacts,
  AttemptObservedEnd,
  ObservedAttempt,
  ObservedRequest,
  RequestEnd,
  RequestFacts,
  RequestObserver,
  RequestTrace,
} from "../../src/proxy/observer.ts";
import type { NoteValue } from "../../src/strategy/attempt-notes.ts";

/** Keeps what the request path tells, of any number of requests. */
export class RecordedFacts implements RequestObserver {
  readonly started: RequestFacts[] = [];
  /** Those that it was told of, one per request. */
  readonly traces: (RequestTrace | null)[] = [];
  readonly attempts: AttemptFacts[] = [];
  /** As `traces`, one per attempt. */
  readonly attemptTraces: (RequestTrace | null)[] = [];
  readonly attemptEnds: AttemptObservedEnd[] = [];
  readonly ends: RequestEnd[] = [];
  /** Everything else, in words. */
  readonly told: string[] = [];
  readonly notes: [name: string, value: unknown][] = [];
  wantsDecision = true;

  requestStarted(facts: RequestFacts, trace: RequestTrace | null = null): ObservedRequest {
    this.started.push(facts);
    this.traces.push(trace);
    const told = (what: string): void => void this.told.push(what);
    return {
      wantsDecision: this.wantsDecision,
      routed: (pool, route) => told(`routed ${pool} ${route ?? "-"}`),
      attemptStarting: (attempt, attemptTrace = null) => {
        this.attempts.push(attempt);
        this.attemptTraces.push(attemptTrace);
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
