/** Every reason for which we answer a client ourselves (and `client_gone`, which nobody is told). */
export type ErrorCode =
  | "bad_request"
  | "no_route"
  | "method_not_allowed"
  | "body_timeout"
  | "body_too_large"
  | "method_not_supported"
  | "upgrade_not_supported"
  | "dns_failed"
  | "connect_refused"
  | "connect_reset"
  | "tls_failed"
  | "bad_response"
  | "reset"
  | "no_backend_available"
  | "strategy_refused"
  | "queue_full"
  | "queue_timeout"
  | "shutting_down"
  | "overloaded"
  | "connect_timeout"
  | "first_byte_timeout"
  | "idle_timeout"
  | "request_timeout"
  | "loop_detected"
  | "internal_error"
  | "client_gone";

/**
 * May the request be repeated? Decided where the error is born.
 * `always`: nothing was sent. `idempotent`: something was, so only if the method allows. `never`.
 */
export type RetryAdvice = "always" | "idempotent" | "never";

export interface ProxyErrorOptions {
  /** Whose doing it was; only `backend` is blamed on the backend. */
  readonly source: "client" | "backend" | "proxy";
  /** Default `never`. */
  readonly retry?: RetryAdvice;
  readonly cause?: unknown;
}

/** A request failed for a known reason. `message` may be shown to the client: no addresses, no stacks. */
export class ProxyError extends Error {
  override readonly name = "ProxyError";
  readonly code: ErrorCode;
  readonly source: "client" | "backend" | "proxy";
  readonly retry: RetryAdvice;

  constructor(code: ErrorCode, message: string, options: ProxyErrorOptions) {
    super(message, { cause: options.cause });
    this.code = code;
    this.source = options.source;
    this.retry = options.retry ?? "never";
  }
}

/** What is none already is a bug of ours: `internal_error`, with the cause for the log. */
export function asProxyError(thrown: unknown): ProxyError {
  if (thrown instanceof ProxyError) return thrown;
  return new ProxyError("internal_error", "the proxy failed", { source: "proxy", cause: thrown });
}

/** One mistake in a config file, a flag or a strategy file. */
export interface Problem {
  /** Where: `pools.web.backends[0].weight`, `--backend`, `mine.ts:3:7`. */
  readonly path: string;
  /** What is wrong, with what was found and what is allowed, in one sentence without the path. */
  readonly message: string;
}

/** Everything that is wrong with a configuration, all at once. Exit code 2, never a stack. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly Problem[];
  /** The config file whose keys are among the paths; null when there is none. */
  readonly file: string | null;

  constructor(
    problems: readonly Problem[],
    options: { readonly cause?: unknown; readonly file?: string | null } = {},
  ) {
    const { file = null, ...rest } = options;
    super(problems.map((p) => `${p.path}: ${p.message}`).join("\n"), rest);
    this.problems = problems;
    this.file = file;
  }
}

/** Something the machine refused at run time (a port that is taken). Exit code 1, never a stack. */
export class RuntimeError extends Error {
  override readonly name = "RuntimeError";
}
