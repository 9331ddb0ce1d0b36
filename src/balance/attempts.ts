import type { RetryConfig, RetryReason } from "../config/config.ts";
import type { Outcome } from "../plugin.ts";
import type { TransportError } from "../transport/transport-error.ts";

/** What the attempt loop knows when an attempt failed before its response head. */
export interface FailedAttempt {
  readonly failure: TransportError;
  readonly method: string;
  /** There is no body, or none of it has been read, or all that was read is kept. */
  readonly bodyReplayable: boolean;
  /** Attempts that count, this one included: all but failures to connect. */
  readonly attempts: number;
  /** This attempt has had its second connection already. */
  readonly reconnected: boolean;
  /** Null: one attempt, whatever happens. */
  readonly retry: RetryConfig | null;
  readonly budget: { tryRetry(): boolean };
}

/**
 * `reconnect`: the same attempt once more over a fresh connection to the same backend. `retry`:
 * another attempt at another candidate. `next`: another candidate too, but nothing was sent, so it
 * does not count. `stop`: the client gets the failure.
 */
export type NextStep = "reconnect" | "retry" | "next" | "stop";

/** Whether the request may be repeated. Says nothing about who is to blame. Spends budget on `retry`. */
export function decideNextStep(failed: FailedAttempt): NextStep {
  const { failure, retry } = failed;
  if (!mayRepeat(failed)) return "stop";
  if (failure.stale && !failed.reconnected) return "reconnect";
  if (retry === null) return "stop";
  if (isConnectFailure(failure)) return retry.on.includes("connect") ? "next" : "stop";
  const reason = retryReason(failure.outcome);
  if (reason === null || !retry.on.includes(reason)) return "stop";
  if (failed.attempts >= retry.attempts) return "stop";
  return failed.budget.tryRetry() ? "retry" : "stop";
}

/** What the attempt loop knows when a response head arrived whose status may be retried. */
export type AnsweredAttempt = Omit<FailedAttempt, "failure" | "reconnected"> & {
  readonly status: number;
  /** Whether anybody is left to try: else the response is the answer, and no budget is spent. */
  readonly hasCandidate: () => boolean;
};

/** Whether another candidate is asked although this one answered. Spends budget when it says so. */
export function decideRetryOfStatus(answered: AnsweredAttempt): boolean {
  const { retry, status } = answered;
  if (retry === null || !retry.on.some((reason) => reason === String(status))) return false;
  if (!isIdempotent(answered.method) || !answered.bodyReplayable) return false;
  if (answered.attempts >= retry.attempts || !answered.hasCandidate()) return false;
  return answered.budget.tryRetry();
}

/** Nothing was sent. The attempt does not count and no retry budget is spent on what follows. */
export function isConnectFailure(failure: TransportError): boolean {
  return failure.outcome === "connect";
}

/** Methods whose repetition has the effect of one request (RFC 9110 section 9.2.2); names are case-sensitive. */
export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method);
}

/**
 * Whether the backend is to blame for how an attempt ended. 501 and 505 are about the request: any
 * healthy server gives them. 4xx are the client's. A client that went away says nothing about anyone.
 */
export function countsAsFailure(outcome: Outcome, status: number | null): boolean {
  if (outcome === "client_gone") return false;
  if (outcome !== "ok") return true;
  return status !== null && status >= 500 && status !== 501 && status !== 505;
}

const IDEMPOTENT: ReadonlySet<string> = new Set([
  "GET",
  "HEAD",
  "OPTIONS",
  "TRACE",
  "PUT",
  "DELETE",
]);

function mayRepeat({ failure, method, bodyReplayable }: FailedAttempt): boolean {
  if (!bodyReplayable || failure.retry === "never") return false;
  return failure.retry === "always" || isIdempotent(method);
}

/** Garbage and truncation are answers of a kind: another backend would not get the same question. */
export function retryReason(
  outcome: TransportError["outcome"],
): Exclude<RetryReason, `${number}`> | null {
  switch (outcome) {
    case "connect":
    case "reset":
    case "timeout":
      return outcome;
    case "truncated":
    case "invalid":
      return null;
  }
}
