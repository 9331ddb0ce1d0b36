/**
 * How the request path tells what happens, without knowing who listens. Telemetry implements it,
 * `process/` hands it in. Every method must return at once and never throw.
 */
import type { Decision } from "../balance/decision.ts";
import type { ErrorCode } from "../errors.ts";
import type { Backend, Outcome } from "../plugin.ts";
import type { AttemptNotes } from "../strategy/attempt-notes.ts";
import type { FrontRequest, HeaderField } from "./front.ts";

export type { Decision, DecisionCandidate, ExcludedBackend } from "../balance/decision.ts";

export interface RequestObserver {
  /**
   * Null: this request is not observed. `trace`: of the span that is recorded for it by those who
   * listened before; absent or null: there is none.
   */
  requestStarted(facts: RequestFacts, trace?: RequestTrace | null): ObservedRequest | null;
}

export interface RequestFacts {
  readonly request: FrontRequest;
  /** The Host field, port included. */
  readonly host: string;
  readonly clientAddress: string;
  /** Also when it is not sent to backends. */
  readonly requestId: string;
  /** The connection's other end is among `trustedProxies`. */
  readonly trustedPeer: boolean;
  /** Monotonic milliseconds: looked up once for all who listen. */
  readonly startedAt: number;
}

/** Lower-case hex, as in `traceparent`. */
export interface RequestTrace {
  readonly traceId: string;
  /** Of the request's span, or of the attempt's. */
  readonly spanId: string;
}

export interface ObservedRequest {
  /** What others may name this request by; absent: it is not recorded as a span. */
  readonly trace?: RequestTrace | undefined;
  /** Whether `AttemptFacts.decision` is worth building. */
  readonly wantsDecision: boolean;
  /** `route` is the configured pattern (`api.example.com/v1/*`), null when the only pool gets everything. */
  routed(pool: string, route: string | null): void;
  /** A backend was picked and leased, and nothing is sent yet. `trace`: as of the request. */
  attemptStarting(facts: AttemptFacts, trace?: RequestTrace | null): ObservedAttempt | null;
  /** A failed attempt would have been repeated, had the retry budget allowed it. */
  retryRefused(): void;
  /** The response has been sent or broken, or the client went away. Only the first call counts. */
  ended(end: RequestEnd): void;
}

/** What an attempt after the first is there for: what became of the one before. */
export type RetryReason = "connect" | "reset" | "timeout" | "status";

export interface AttemptFacts {
  /** 1 for the first. */
  readonly number: number;
  /** Null for the first. */
  readonly retryReason: RetryReason | null;
  readonly pool: string;
  readonly backend: Backend;
  readonly strategy: { readonly name: string; readonly version: string };
  readonly candidates: number;
  /** Requests in flight at the backend before this one. */
  readonly inFlight: number;
  /** Least connections answered because the strategy could not. */
  readonly fallback: boolean;
  /** The client's session is at this backend: the strategy was not asked. */
  readonly affinity: boolean;
  /** Milliseconds that the strategy took to pick. */
  readonly pickMs: number;
  /** Null unless it is wanted. */
  readonly decision: Decision | null;
  /** Path and query as sent to the backend. */
  readonly target: string;
  /** The Host field as sent to the backend, port included. */
  readonly host: string;
}

export interface ObservedAttempt {
  /** What others may name this attempt by; absent: it is not recorded as a span. */
  readonly trace?: RequestTrace | undefined;
  /** Sent to the backend in place of fields of the same name. */
  readonly headers: readonly HeaderField[];
  /** Lower-case names of the client's fields that this backend must not see. */
  readonly removed: readonly string[];
  /** Takes what the strategy says about this attempt; absent: nobody reads it. */
  readonly notes?: AttemptNotes | undefined;
  connected(durationMs: number): void;
  /** The backend had closed the connection that lay idle: the request goes out again, over a fresh one. */
  reconnecting(): void;
  responded(status: number): void;
  /** Only the first call counts. `error` is the code of section "what a client sees", null when it went well. */
  ended(end: AttemptObservedEnd): void;
}

export interface AttemptObservedEnd {
  readonly outcome: Outcome;
  readonly status: number | null;
  readonly error: ErrorCode | null;
}

export interface RequestEnd {
  /** What the client was sent; null when it went away before. */
  readonly status: number | null;
  /** Our own error code, `client_gone`, or null. */
  readonly error: ErrorCode | null;
  /**
   * Who ended it, as in the termination state of HAProxy's log: `client` went away or sent too slowly,
   * `backend` failed, or all went well, `proxy` refused.
   */
  readonly endedBy: "client" | "backend" | "proxy";
  /** How far it had come: before the head of an answer, within its body, or to the end. */
  readonly phase: "head" | "body" | "done";
  /** Of the request's body, as far as it was read. */
  readonly requestBytes: number;
  /** Of the answer's body, as far as it was given to the client. */
  readonly responseBytes: number;
  /** Milliseconds from the start of the request to the head of its answer; null without one. */
  readonly firstByteMs: number | null;
}
