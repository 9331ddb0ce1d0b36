import type { Attempt, AttemptHead, Outcome, Strategy } from "../src/plugin.ts";
import type { LatencyOptions } from "./latency-options.ts";
import { readRetryAfterMs } from "./retry-after.ts";
import type { ResponseTimes } from "./response-times.ts";

type LatencyHooks = Required<
  Pick<
    Strategy,
    "onPoolChange" | "onHealthChange" | "onStart" | "onResponse" | "onEnd" | "snapshot"
  >
>;

/** A body up to this size goes out with the head; the time that a larger one takes is its client's. */
const SMALL_BODY_BYTES = 64 * 1024;

/**
 * Tells `times` what attempts show of their backends, as the hooks of a strategy.
 *
 * Left out of response times: tunnels and event streams, whose heads come at once however busy the
 * backend is, and uploads, whose answers wait for their clients. A long poll cannot be told from a slow
 * answer; give such paths a pool of their own.
 */
export function latencyHooks(times: ResponseTimes, options: LatencyOptions): LatencyHooks {
  /** By attempt's id. Few: most requests have no body. */
  const uploads = new Set<number>();

  function fails(status: number): boolean {
    if (status === 429) return options.tooManyRequests === "failure";
    // Not implemented, or a version not spoken: nothing is wrong with the server.
    return status >= 500 && status !== 501 && status !== 505;
  }

  return {
    onPoolChange(backends) {
      times.readClock();
      times.setPool(backends);
    },
    onHealthChange(backend, from, to) {
      times.readClock();
      // It was down, so it comes back as a new one.
      if (from === "unhealthy" && to !== "unhealthy") times.forget(backend);
    },
    onStart(attempt) {
      times.readClock();
      if (isUpload(attempt)) uploads.add(attempt.id);
      else times.waits(attempt.backend);
    },
    onResponse({ id, backend, startedAt }, head) {
      times.readClock();
      const upload = uploads.has(id);
      if (!upload) times.waited(backend);
      if (fails(head.status)) times.failed(backend, readRetryAfterMs(head.headers) ?? 0);
      else if (upload || isStream(head) || head.status === 429) times.heard(backend);
      else times.answered(backend, head.firstByteMs, startedAt);
    },
    onEnd({ id, backend }, { outcome, status, durationMs }) {
      times.readClock();
      const upload = uploads.delete(id);
      if (status === null && !upload) times.waited(backend);
      if (isFailure(outcome)) times.failed(backend, 0);
      else if (status === null && !upload) times.keptSilent(backend, durationMs);
    },
    snapshot() {
      times.readClock();
      return times.snapshot();
    },
  };
}

function isFailure(outcome: Outcome): boolean {
  return outcome !== "ok" && outcome !== "client_gone";
}

function isUpload({ request: { method, headers } }: Attempt): boolean {
  if (method === "GET" || method === "HEAD") return false;
  // The parser of requests has seen to it that these are what they should be.
  return (
    headers.has("transfer-encoding") ||
    Number(headers.get("content-length") ?? 0) > SMALL_BODY_BYTES
  );
}

function isStream({ status, upgraded, headers }: AttemptHead): boolean {
  if (upgraded || status === 101) return true;
  return (
    headers.get("content-type")?.trimStart().toLowerCase().startsWith("text/event-stream") ?? false
  );
}
