import type { SlowStartConfig } from "../config/config.ts";
import { type Counters, EJECTION_NONE, PROBE_UNHEALTHY } from "../pool/counters.ts";

/** Parts of a window after which weights are written again; one is too small to be felt. */
const STEPS = 100;
const MIN_STEP_MS = 20;
const MAX_STEP_MS = 1000;

/**
 * The part of its weight that a backend has so long after it became available: Envoy's formula, in
 * which the first second counts as one. 1 from the end of the window on.
 */
export function weightPart(config: SlowStartConfig, elapsedMs: number): number {
  const { windowMs, minWeight, aggression } = config;
  const time = Math.max(elapsedMs, 1000) / windowMs;
  if (time >= 1) return 1;
  return Math.max(minWeight, time ** (1 / aggression));
}

export interface SlowStartOptions {
  readonly config: SlowStartConfig;
  readonly counters: Counters;
  /** The pool's backends. */
  readonly rows: readonly number[];
  /** Those of them that a reload has brought: they become available now. */
  readonly joined: ReadonlySet<number>;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** Of a backend: not available, since when it has been in its slow start, or all of its weight. */
type Stage = "out" | number | "whole";

/**
 * Keeps the weights of one pool's backends low for a while after they have become available: after a
 * reload brought them, probes found them well again, an ejection ended, or the operator took them
 * back. One per pool, in the master; the workers read its result from the counters, so that all see
 * the same weights, also those that start later.
 *
 * At the start of the program nobody is new to it: if all were slowed, none would be.
 *
 * A backend has the least weight from the moment that it goes, so that no worker sees it come back
 * with all of it.
 */
export class PoolSlowStart {
  readonly #options: SlowStartOptions;
  readonly #stages = new Map<number, Stage>();

  /** `before`: knows who is in its slow start; null: there was none. */
  constructor(options: SlowStartOptions, before: PoolSlowStart | null = null) {
    this.#options = options;
    for (const row of options.rows) {
      const known = before === null ? undefined : before.#stages.get(row);
      this.#stages.set(row, options.joined.has(row) ? "out" : (known ?? "whole"));
    }
    this.advance();
  }

  /** To be called after whatever may have changed who is available, and at `nextDeadlineMs`. */
  advance(): void {
    const { config, counters, now } = this.#options;
    for (const [row, stage] of this.#stages) {
      const next = this.#next(row, stage);
      this.#stages.set(row, next);
      if (next === "out") counters.setWeightPart(row, weightPart(config, 0));
      else counters.setWeightPart(row, next === "whole" ? 1 : weightPart(config, now() - next));
    }
  }

  /** Null when nobody is in a slow start. */
  nextDeadlineMs(): number | null {
    const { config, now } = this.#options;
    const stepMs = Math.min(Math.max(config.windowMs / STEPS, MIN_STEP_MS), MAX_STEP_MS);
    let next: number | null = null;
    for (const stage of this.#stages.values()) {
      if (typeof stage !== "number") continue;
      const dueMs = Math.min(now() + stepMs, stage + config.windowMs);
      if (next === null || dueMs < next) next = dueMs;
    }
    return next;
  }

  #next(row: number, stage: Stage): Stage {
    const { config, now } = this.#options;
    if (!this.#isAvailable(row)) return "out";
    if (stage === "out") return now();
    if (stage === "whole" || now() - stage >= config.windowMs) return "whole";
    return stage;
  }

  #isAvailable(row: number): boolean {
    const { counters } = this.#options;
    const down = counters.probe(row) === PROBE_UNHEALTHY;
    return !down && counters.ejection(row) === EJECTION_NONE && !counters.draining(row);
  }
}

/** Before a plan with these backends is in force: nobody sees the newcomers with all their weight. */
export function slowDown(
  config: SlowStartConfig,
  counters: Counters,
  joining: Iterable<number>,
): void {
  for (const row of joining) counters.setWeightPart(row, weightPart(config, 0));
}
