import type { ErrorCode } from "../../errors.ts";
import type { RequestEnd } from "../../proxy/observer.ts";

/** What one line of the access log says. Keys in the order in which they are written. */
export interface AccessRecord {
  /** When the request had ended, by the wall clock; ISO 8601, UTC. */
  readonly time: string;
  /** `error`: a backend or we ourselves failed. */
  readonly level: "info" | "error";
  readonly requestId: string;
  /** Null when no span was recorded. */
  readonly traceId: string | null;
  readonly spanId: string | null;
  /** IP address; null over a unix socket. */
  readonly client: string | null;
  readonly method: string;
  /** The Host field; empty when there was none. */
  readonly host: string;
  readonly path: string;
  /** Without its `?`, secrets redacted; null: none. */
  readonly query: string | null;
  /** As sent; 499 when the client went away before anything was. */
  readonly status: number;
  /** Of the bodies alone. */
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly durationMs: number;
  /** Until the head of the answer, ours or a backend's; null: there was none. */
  readonly firstByteMs: number | null;
  /** Null: no route, or refused before one was looked for. */
  readonly pool: string | null;
  /** Of the last attempt; null: there was none. */
  readonly backend: string | null;
  readonly attempts: number;
  readonly strategy: string | null;
  readonly strategyVersion: string | null;
  readonly endedBy: RequestEnd["endedBy"];
  readonly phase: RequestEnd["phase"];
  readonly error: ErrorCode | null;
  /** The configured ones that the request had, by lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  /** Values of which only the beginning is here: `path`, `headers.referer`. Absent: everything is whole. */
  readonly truncated?: readonly string[];
}
