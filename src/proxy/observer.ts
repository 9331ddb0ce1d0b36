/**
 * How the request path tells what happens, without knowing who listens. Telemetry implements it,
 * `process/` hands it in. Every method must return at once and never throw.
 */
import type { ErrorCode } from "../errors.ts";
import type { Backend, Outcome } from "../plugin.ts";
import type { FrontRequest, HeaderField } from "./front.ts";

export interface RequestObserver {
  /** Null: this request is not observed. */
  requestStarted(facts: RequestFacts): ObservedRequest | null;
}

export interface RequestFacts {
  readonly request: FrontRequest;
  /** The Host field, port included. */
  readonly host: string;
  readonly clientAddress: string;
}

export interface ObservedRequest {
  /** Whether `AttemptFacts.decision` is worth building. */
  readonly wantsDecision: boolean;
  /** `route` is the configured pattern (`api.example.com/v1/*`), null when the only pool gets everything. */
  routed(pool: string, route: string | null): void;
  /** A backend was picked and leased, and nothing is sent yet. */
  attemptStarting(facts: AttemptFacts): ObservedAttempt | null;
  /** Exactly once: the response has been sent or broken, or the client went away. */
  ended(end: RequestEnd): void;
}

export interface AttemptFacts {
  /** 1 for the first. */
  readonly number: number;
  readonly pool: string;
  readonly backend: Backend;
  readonly strategy: { readonly name: string; readonly version: string };
  readonly candidates: number;
  /** Requests in flight at the backend before this one. */
  readonly inFlight: number;
  /** Least connections answered because the strategy could not. */
  readonly fallback: boolean;
  /** Path and query as sent to the backend. */
  readonly target: string;
  /** The Host field as sent to the backend, port included. */
  readonly host: string;
}

export interface ObservedAttempt {
  /** Sent to the backend in place of fields of the same name. */
  readonly headers: readonly HeaderField[];
  /** Lower-case names of the client's fields that this backend must not see. */
  readonly removed: readonly string[];
  connected(durationMs: number): void;
  responded(status: number): void;
  /** Exactly once. `error` is the code of section "what a client sees", null when it went well. */
  ended(end: {
    readonly outcome: Outcome;
    readonly status: number | null;
    readonly error: ErrorCode | null;
  }): void;
}

export interface RequestEnd {
  /** What the client was sent; null when it went away before. */
  readonly status: number | null;
  /** Our own error code, `client_gone`, or null. */
  readonly error: ErrorCode | null;
}
