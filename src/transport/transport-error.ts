import { type ErrorCode, ProxyError, type RetryAdvice } from "../errors.ts";
import type { Outcome } from "../plugin.ts";

export interface TransportErrorFacts {
  readonly outcome: Exclude<Outcome, "ok" | "client_gone">;
  readonly retry: RetryAdvice;
  /**
   * A reused connection ended before any byte of the response: most likely the backend closed it
   * while idle. Such a request may go to the same backend once more over a fresh connection.
   */
  readonly stale?: boolean;
  readonly cause?: unknown;
}

/** An exchange with a backend failed; always the backend's doing. */
export class TransportError extends ProxyError {
  readonly outcome: Exclude<Outcome, "ok" | "client_gone">;
  readonly stale: boolean;

  constructor(code: ErrorCode, message: string, facts: TransportErrorFacts) {
    super(code, message, { source: "backend", retry: facts.retry, cause: facts.cause });
    this.outcome = facts.outcome;
    this.stale = facts.stale ?? false;
  }
}
