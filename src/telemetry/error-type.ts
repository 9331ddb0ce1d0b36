/**
 * `error.type` of spans, by the HTTP semantic conventions 1.44. Null means that the span's status
 * stays unset; anything else means Error.
 */
import type { Outcome } from "../plugin.ts";
import type { RequestEnd } from "../proxy/observer.ts";

/** Codes with which we refuse a request for what the client did; on a SERVER span no error. */
const CLIENT_FAULTS = new Set(["bad_request", "no_route", "body_too_large"]);

/**
 * For a CLIENT span: 4xx and 5xx are errors, and so is every attempt without a whole response,
 * unless it was given up because the client went away.
 */
export function attemptErrorType(end: {
  readonly outcome: Outcome;
  readonly status: number | null;
  readonly error: string | null;
}): string | null {
  if (end.error !== null && end.error !== "client_gone") return end.error;
  if (end.outcome !== "ok" && end.outcome !== "client_gone") return end.outcome;
  return end.status !== null && end.status >= 400 ? String(end.status) : null;
}

/**
 * For a SERVER span: 5xx is an error and 4xx is not. A response that broke after its head is one,
 * whatever the status was; a client that went away is not.
 */
export function requestErrorType(end: RequestEnd): string | null {
  const ours = end.error !== null && end.error !== "client_gone" && !CLIENT_FAULTS.has(end.error);
  if (ours) return end.error;
  return end.status !== null && end.status >= 500 ? String(end.status) : null;
}
