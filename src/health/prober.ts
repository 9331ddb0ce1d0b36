import type { BackendConfig, HealthConfig } from "../config/config.ts";
import type { Health } from "../plugin.ts";
import {
  type Counters,
  PROBE_HEALTHY,
  PROBE_UNHEALTHY,
  PROBE_UNKNOWN,
  type ProbeState,
} from "../pool/counters.ts";
import { afterProbe, type HealthState } from "./health-state.ts";
import type { Probe, ProbeResult } from "./probe.ts";

/** One probe's outcome; the counters already hold `to`. */
export interface ProbeReport {
  readonly row: number;
  readonly good: boolean;
  /** Why it was good or bad, for the log. */
  readonly reason: string;
  /** On the clock handed in. */
  readonly startedAtMs: number;
  readonly from: Health;
  /** Equal to `from` when nothing changed. */
  readonly to: Health;
}

/** Calls back once after `delayMs`, unless the returned function is called before. */
export type Schedule = (delayMs: number, callback: () => void) => () => void;

export interface ProberOptions {
  readonly config: HealthConfig;
  readonly backends: readonly BackendConfig[];
  /** Each backend's row in `counters`, in the same order. */
  readonly rows: readonly number[];
  readonly counters: Counters;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly probe: Probe;
  readonly onResult: (report: ProbeReport) => void;
  /** Default: setTimeout. */
  readonly schedule?: Schedule;
}

/** Probes the backends of one pool from `start` to `stop`, each on its own schedule. Runs in the master. */
export class PoolProber {
  readonly #options: ProberOptions;
  readonly #schedule: Schedule;
  readonly #stopping = new AbortController();
  readonly #timers = new Map<number, () => void>();
  readonly #states = new Map<number, HealthState>();

  constructor(options: ProberOptions) {
    this.#options = options;
    this.#schedule = options.schedule ?? scheduleTimeout;
    // What an earlier prober found out holds until a probe of ours says otherwise.
    for (const row of options.rows) {
      this.#states.set(row, { health: healthOf(options.counters.probe(row)), against: 0 });
    }
  }

  /** The first probe of every backend goes out at once; the second ones are spread over an interval. */
  start(): void {
    const { backends, rows } = this.#options;
    backends.forEach((backend, index) => {
      const row = rows[index];
      if (row !== undefined) void this.#probe(backend, row, (index + 1) / backends.length);
    });
  }

  /** No timer and no connection is left, and nothing is reported any more. */
  stop(): void {
    this.#stopping.abort();
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
  }

  async #probe(backend: BackendConfig, row: number, fractionOfInterval: number): Promise<void> {
    const { now, probe } = this.#options;
    const { signal } = this.#stopping;
    const startedAtMs = now();
    const result = await probe(backend, signal);
    if (signal.aborted) return;
    this.#record(row, result, startedAtMs);
    if (signal.aborted) return;
    // Only now, so that a backend never has two probes at a time, whatever interval and timeout are.
    const dueMs = startedAtMs + this.#varied() * fractionOfInterval;
    const cancel = this.#schedule(
      Math.max(0, dueMs - now()),
      () => void this.#probe(backend, row, 1),
    );
    this.#timers.set(row, cancel);
  }

  #record(row: number, { good, reason }: ProbeResult, startedAtMs: number): void {
    const { config, counters, onResult } = this.#options;
    const before = this.#states.get(row) ?? { health: "unknown", against: 0 };
    const after = afterProbe(before, good, config);
    this.#states.set(row, after);
    if (after.health !== before.health) {
      counters.setProbe(row, after.health === "healthy" ? PROBE_HEALTHY : PROBE_UNHEALTHY);
    }
    onResult({ row, good, reason, startedAtMs, from: before.health, to: after.health });
  }

  /** Proxies that were started together must not probe together for ever. */
  #varied(): number {
    const { config, random } = this.#options;
    return config.intervalMs * (1 + config.jitter * (2 * random() - 1));
  }
}

function healthOf(state: ProbeState): Health {
  switch (state) {
    case PROBE_HEALTHY:
      return "healthy";
    case PROBE_UNHEALTHY:
      return "unhealthy";
    case PROBE_UNKNOWN:
      return "unknown";
  }
}

/** The schedule of production. */
export function scheduleTimeout(delayMs: number, callback: () => void): () => void {
  const timer = setTimeout(callback, delayMs);
  return () => clearTimeout(timer);
}
