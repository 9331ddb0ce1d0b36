import type { Arrivals } from "./arrivals.ts";
import type { LoadResult } from "./load-generator.ts";
import { type BackendKind, kindOfBackend } from "./scenario.ts";

/** Milliseconds, of good answers, from the time each request was due. */
export interface LatencySummary {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

export interface KindShare {
  /** Answers of these backends, their refusals included. */
  readonly answers: number;
  /** Of all requests sent, 0 to 1. */
  readonly fraction: number;
}

/** One phase of one run. `sent = ok + errors.total`, and `sent = normal + degraded + unanswered`. */
export interface PhaseSummary {
  readonly sent: number;
  readonly ok: number;
  readonly errors: {
    readonly total: number;
    /** Of all requests sent, 0 to 1. */
    readonly rate: number;
    readonly byKind: Readonly<Record<string, number>>;
  };
  /** Null when there was no good answer. */
  readonly latencyMs: LatencySummary | null;
  readonly share: Readonly<Record<BackendKind, KindShare>>;
  /** Requests that no backend answered. */
  readonly unanswered: number;
}

/** How well the load generator kept to its schedule. */
export interface GeneratorSummary {
  readonly lagP99Ms: number;
  readonly lagMaxMs: number;
  /** Requests that could not be sent for want of descriptors, ports or connections. */
  readonly notSent: number;
  readonly connectionsOpened: number;
  readonly reconnects: number;
}

export function summarisePhase(
  arrivals: Arrivals,
  phase: number,
  result: LoadResult,
): PhaseSummary {
  const { from, to } = rangeOf(arrivals, phase);
  const sent = to - from;
  const byKind: Record<string, number> = {};
  const answers = { normal: 0, degraded: 0 };
  const latencies: number[] = [];
  for (let index = from; index < to; index++) {
    const outcome = result.outcomes[index] ?? "reset";
    if (outcome === "ok") latencies.push(result.latencyMs[index] ?? 0);
    else byKind[outcome] = (byKind[outcome] ?? 0) + 1;
    const kind = kindOfBackend(result.backends[index] ?? "");
    if (kind !== null) answers[kind]++;
  }
  const failed = sent - latencies.length;
  return {
    sent,
    ok: latencies.length,
    errors: { total: failed, rate: ratio(failed, sent), byKind },
    latencyMs: summariseLatency(Float64Array.from(latencies).sort()),
    share: {
      normal: { answers: answers.normal, fraction: ratio(answers.normal, sent) },
      degraded: { answers: answers.degraded, fraction: ratio(answers.degraded, sent) },
    },
    unanswered: sent - answers.normal - answers.degraded,
  };
}

export function summariseGenerator(
  arrivals: Arrivals,
  phase: number,
  result: LoadResult,
): GeneratorSummary {
  const { from, to } = rangeOf(arrivals, phase);
  const lags = result.lagMs.slice(from, to).sort();
  return {
    lagP99Ms: percentile(lags, 0.99) ?? 0,
    lagMaxMs: percentile(lags, 1) ?? 0,
    notSent: result.outcomes.filter((outcome) => outcome === "overflow").length,
    connectionsOpened: result.connectionsOpened,
    reconnects: result.reconnects,
  };
}

/**
 * The smallest value that at least `fraction` of all values do not exceed (nearest rank): a value that
 * was measured, never one between two. Null without values.
 */
export function percentile(ascending: Float64Array, fraction: number): number | null {
  const rank = Math.max(1, Math.ceil(fraction * ascending.length));
  return ascending[rank - 1] ?? null;
}

function summariseLatency(ascending: Float64Array): LatencySummary | null {
  const p50 = percentile(ascending, 0.5);
  const p90 = percentile(ascending, 0.9);
  const p99 = percentile(ascending, 0.99);
  const max = percentile(ascending, 1);
  if (p50 === null || p90 === null || p99 === null || max === null) return null;
  return { p50, p90, p99, max };
}

function rangeOf(arrivals: Arrivals, phase: number): { from: number; to: number } {
  return { from: arrivals.starts[phase] ?? 0, to: arrivals.starts[phase + 1] ?? 0 };
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
