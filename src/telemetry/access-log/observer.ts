import type { AccessLogConfig } from "../../config/config.ts";
import { isCredential } from "../../config/header-rules.ts";
import type {
  AttemptFacts,
  ObservedRequest,
  RequestEnd,
  RequestFacts,
  RequestObserver,
  RequestTrace,
} from "../../proxy/observer.ts";
import { createRedactor, type Redactor, redactUrl, withoutUser } from "../redact.ts";
import type { AccessRecord } from "./record.ts";

export interface AccessLogObserverOptions {
  readonly config: Pick<AccessLogConfig, "log" | "redactQuery" | "requestHeaders">;
  /** The clock of the request path: monotonic milliseconds. */
  readonly now: () => number;
  /** Milliseconds since 1970. */
  readonly wallClock: () => number;
  readonly write: (record: AccessRecord) => void;
  /** Of each request that was started, written or not. */
  readonly onEnded: () => void;
}

/**
 * One record per request, made at its end and only if it is wanted: what is needed for it until then
 * is one small object.
 */
export function createAccessLogObserver(options: AccessLogObserverOptions): RequestObserver {
  const { config } = options;
  const log: RequestLog = {
    ...options,
    everything: config.log === "all",
    redact: createRedactor(config.redactQuery),
    // Whatever let them through: these are never written.
    headers: config.requestHeaders.filter((name) => !isCredential(name)),
  };
  return { requestStarted: (facts, trace = null) => new LoggedRequest(log, facts, trace) };
}

interface RequestLog extends AccessLogObserverOptions {
  readonly everything: boolean;
  readonly redact: Redactor;
  readonly headers: readonly string[];
}

/** What nginx logs for a client that went away before it was answered. */
const CLIENT_GONE = 499;

class LoggedRequest implements ObservedRequest {
  readonly wantsDecision = false;
  readonly #log: RequestLog;
  readonly #facts: RequestFacts;
  readonly #trace: RequestTrace | null;
  #pool: string | null = null;
  #attempts = 0;
  #attempt: AttemptFacts | null = null;
  #ended = false;

  constructor(log: RequestLog, facts: RequestFacts, trace: RequestTrace | null) {
    this.#log = log;
    this.#facts = facts;
    this.#trace = trace;
  }

  routed(pool: string): void {
    this.#pool = pool;
  }

  attemptStarting(facts: AttemptFacts): null {
    this.#attempts++;
    this.#attempt = facts;
    return null;
  }

  retryRefused(): void {}

  ended(end: RequestEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#log.everything || wentWrong(end)) this.#log.write(this.#record(end));
    this.#log.onEnded();
  }

  #record(end: RequestEnd): AccessRecord {
    const { now, wallClock, redact } = this.#log;
    const { request, host, clientAddress, requestId, startedAt } = this.#facts;
    const trace = this.#trace;
    const { target } = request;
    const mark = target.indexOf("?");
    const attempt = this.#attempt;
    return {
      time: new Date(wallClock()).toISOString(),
      level: isOurFailure(end) ? "error" : "info",
      requestId,
      traceId: trace?.traceId ?? null,
      spanId: trace?.spanId ?? null,
      client: clientAddress === "" ? null : clientAddress,
      method: request.method,
      // A request is refused for it, but logged all the same.
      host: withoutUser(host),
      path: pathOf(mark < 0 ? target : target.slice(0, mark)),
      query: mark < 0 ? null : redact(target.slice(mark + 1)),
      status: end.status ?? CLIENT_GONE,
      requestBytes: end.requestBytes,
      responseBytes: end.responseBytes,
      durationMs: rounded(now() - startedAt),
      firstByteMs: end.firstByteMs === null ? null : rounded(end.firstByteMs),
      pool: this.#pool,
      backend: attempt?.backend.id ?? null,
      attempts: this.#attempts,
      strategy: attempt?.strategy.name ?? null,
      strategyVersion: attempt?.strategy.version ?? null,
      endedBy: end.endedBy,
      phase: end.phase,
      error: end.error,
      headers: this.#headers(),
    };
  }

  #headers(): Record<string, string> {
    const { headers } = this.#facts.request;
    const { redact } = this.#log;
    const found: [string, string][] = [];
    for (const name of this.#log.headers) {
      const value = headers.get(name);
      if (value === null) continue;
      found.push([name, withoutSecrets(name, value, redact)]);
    }
    return Object.fromEntries(found);
  }
}

/** What is none, such as the authority of CONNECT, comes as it was sent. */
function pathOf(path: string): string {
  return path.startsWith("/") ? path : withoutUser(path);
}

function withoutSecrets(name: string, value: string, redact: Redactor): string {
  switch (name) {
    case "referer":
      return redactUrl(value, redact);
    case "host":
    case "x-forwarded-host":
      return withoutUser(value);
    default:
      return value;
  }
}

/** 5xx, an answer of our own, one that broke, and a client that went away. */
function wentWrong({ status, error, phase }: RequestEnd): boolean {
  return status === null || status >= 500 || error !== null || phase !== "done";
}

function isOurFailure({ status, endedBy, phase }: RequestEnd): boolean {
  if (endedBy === "client") return false;
  return (status !== null && status >= 500) || phase === "body";
}

/** Microseconds are enough. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
