/**
 * One coarse clock for all timeouts of a backend's connections: a request pays a field assignment instead of a timer.
 * A tick is counted when its interval ran, so a process that was stopped for ten seconds wakes up one tick
 * later and blames nobody.
 */
export class Ticker {
  tick = 0;
  readonly #resolutionMs: number;
  readonly #onTick: () => boolean;
  #interval: ReturnType<typeof setInterval> | null = null;

  /** `onTick` answers whether there is still anything to watch; if not, the ticker stops until `start`. */
  constructor(resolutionMs: number, onTick: () => boolean) {
    this.#resolutionMs = resolutionMs;
    this.#onTick = onTick;
  }

  start(): void {
    if (this.#interval !== null) return;
    this.#interval = setInterval(() => {
      this.tick++;
      if (!this.#onTick()) this.stop();
    }, this.#resolutionMs);
    // Sockets keep the process alive, not the clock that watches them.
    this.#interval.unref();
  }

  stop(): void {
    if (this.#interval !== null) clearInterval(this.#interval);
    this.#interval = null;
  }

  /** Whether at least `durationMs` went by since `since`; up to two ticks late, never early. */
  passed(since: number, durationMs: number): boolean {
    return (this.tick - since - 1) * this.#resolutionMs >= durationMs;
  }
}

/** A tenth of the shortest timeout, within 5 and 250 ms. */
export function tickFor(timeoutsMs: readonly number[]): number {
  return Math.min(250, Math.max(5, Math.floor(Math.min(...timeoutsMs) / 10)));
}
