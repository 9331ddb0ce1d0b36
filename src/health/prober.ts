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

/** A probe that ends so much after its timeout was held up by its own process. */
const LATE_MS = 500;

/** One backend that is probed, until it is gone. */
interface Target {
  backend: BackendConfig;
  readonly row: number;
  readonly stopping: AbortController;
  state: HealthState;
  /** Calls off its next probe. */
  cancel: () => void;
}

/** Probes the backends of one pool from `start` to `stop`, each on its own schedule. Runs in the master. */
export class PoolProber {
  readonly #options: ProberOptions;
  readonly #schedule: Schedule;
  readonly #targets = new Map<number, Target>();

  constructor(options: ProberOptions) {
    this.#options = options;
    this.#schedule = options.schedule ?? scheduleTimeout;
  }

  /** The first probe of every backend goes out at once; the second ones are spread over an interval. */
  start(): void {
    const { backends, rows } = this.#options;
    this.update(backends, rows);
  }

  /**
   * These backends from now on. Who stays (by its row) keeps its state and its next probe's time:
   * reloads in a row must not become probes in a row.
   */
  update(backends: readonly BackendConfig[], rows: readonly number[]): void {
    const gone = new Set(this.#targets.keys());
    backends.forEach((backend, index) => {
      const row = rows[index];
      if (row === undefined) return;
      gone.delete(row);
      const known = this.#targets.get(row);
      if (known === undefined) this.#begin(backend, row, (index + 1) / backends.length);
      else known.backend = backend;
    });
    for (const row of gone) this.#end(row);
  }

  /** No timer and no connection is left, and nothing is reported any more. */
  stop(): void {
    for (const row of this.#targets.keys()) this.#end(row);
  }

  #begin(backend: BackendConfig, row: number, fractionOfInterval: number): void {
    // What an earlier prober found out holds until a probe of ours says otherwise.
    const health = healthOf(this.#options.counters.probe(row));
    const target: Target = {
      backend,
      row,
      stopping: new AbortController(),
      state: { health, against: 0 },
      cancel: () => {},
    };
    this.#targets.set(row, target);
    void this.#probe(target, fractionOfInterval);
  }

  #end(row: number): void {
    const target = this.#targets.get(row);
    this.#targets.delete(row);
    target?.stopping.abort();
    target?.cancel();
  }

  async #probe(target: Target, fractionOfInterval: number): Promise<void> {
    const { now, probe } = this.#options;
    const { signal } = target.stopping;
    let startedAtMs = now();
    let result = await probe(target.backend, signal);
    // Once: a process that is always late would else never notice a backend that is down.
    if (!result.good && this.#isLate(startedAtMs) && !signal.aborted) {
      startedAtMs = now();
      result = await probe(target.backend, signal);
    }
    if (signal.aborted) return;
    this.#record(target, result, startedAtMs);
    if (signal.aborted) return;
    // Only now, so that a backend never has two probes at a time, whatever interval and timeout are.
    const dueMs = startedAtMs + this.#varied() * fractionOfInterval;
    target.cancel = this.#schedule(Math.max(0, dueMs - now()), () => void this.#probe(target, 1));
  }

  /** Whether it was this process that stood still (SIGSTOP, a starved core), which says nothing about the backend. */
  #isLate(startedAtMs: number): boolean {
    const { config, now } = this.#options;
    return now() - startedAtMs > config.timeoutMs + LATE_MS;
  }

  #record(target: Target, { good, reason }: ProbeResult, startedAtMs: number): void {
    const { config, counters, onResult } = this.#options;
    const { row, state: before } = target;
    const after = afterProbe(before, good, config);
    target.state = after;
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
