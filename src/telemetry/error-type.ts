/**
 * `error.type` of spans, by the HTTP semantic conventions 1.44. Null means that the span's status
 * stays unset; anything else means Error.
 */
import type { ErrorCode } from "../errors.ts";
import type { Outcome } from "../plugin.ts";
import { statusOf } from "../proxy/error-answer.ts";
import type { RequestEnd } from "../proxy/observer.ts";

/**
 * For a CLIENT span: 4xx and 5xx are errors, and so is every attempt without a whole response,
 * unless it was given up because the client went away.
 */
export function attemptErrorType(end: {
  readonly outcome: Outcome;
  readonly status: number | null;
  readonly error: ErrorCode | null;
}): string | null {
  if (end.error !== null && !isClientFault(end.error)) return end.error;
  if (end.outcome !== "ok" && end.outcome !== "client_gone") return end.outcome;
  return end.status !== null && end.status >= 400 ? String(end.status) : null;
}

/**
 * For a SERVER span: 5xx is an error and 4xx is not. A response that broke after its head is one,
 * whatever the status was; a client that went away is not.
 */
export function requestErrorType(end: RequestEnd): string | null {
  if (end.error !== null && !isClientFault(end.error)) return end.error;
  return end.status !== null && end.status >= 500 ? String(end.status) : null;
}

/** What we answer with a 4xx is the client's doing; `client_gone` counts as 499. */
function isClientFault(error: ErrorCode): boolean {
  return statusOf(error) < 500;
}
