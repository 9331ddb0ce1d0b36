import { PoolSlowStart, type SlowStartOptions } from "../balance/slow-start.ts";
import type { Schedule } from "../health/prober.ts";
import type { Counters } from "../pool/counters.ts";

export interface SlowStartWatchOptions {
  readonly counters: Counters;
  readonly now: () => number;
  readonly schedule: Schedule;
  /** Weights may be others now. */
  readonly onAdvance: () => void;
}

/** Keeps the slow starts of one pool going, if it has any. */
export class SlowStartWatch {
  readonly #options: SlowStartWatchOptions;
  #slowStart: PoolSlowStart | null = null;
  #cancelTimer = (): void => {};

  constructor(options: SlowStartWatchOptions) {
    this.#options = options;
  }

  /** These backends and this config from now on; null: all of them have all of their weights. */
  update({ config, rows, joined }: UpdateOptions): void {
    const { counters, now } = this.#options;
    if (config === null) {
      this.#slowStart = null;
      for (const row of rows) counters.setWeightPart(row, 1);
    } else {
      const options = { config, counters, rows, joined, now };
      this.#slowStart = new PoolSlowStart(options, this.#slowStart);
    }
    this.#schedule();
  }

  /** Who is available may have changed. */
  changed(): void {
    if (this.#slowStart === null) return;
    this.#slowStart.advance();
    this.#options.onAdvance();
    this.#schedule();
  }

  stop(): void {
    this.#cancelTimer();
    this.#slowStart = null;
  }

  #schedule(): void {
    this.#cancelTimer();
    const dueMs = this.#slowStart?.nextDeadlineMs() ?? null;
    if (dueMs === null) return;
    // Rounded up: a timer that comes a moment early would find nothing due.
    const waitMs = Math.max(1, Math.ceil(dueMs - this.#options.now()));
    this.#cancelTimer = this.#options.schedule(waitMs, () => this.changed());
  }
}

export type UpdateOptions = Pick<SlowStartOptions, "rows" | "joined"> & {
  readonly config: SlowStartOptions["config"] | null;
};
