interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

/** Time that passes only when a test says so. Timers fire in the order of their times. */
export class VirtualClock {
  nowMs: number;
  #timers: Timer[] = [];

  constructor(startMs = 0) {
    this.nowMs = startMs;
  }

  readonly now = (): number => this.nowMs;

  readonly schedule = (delayMs: number, callback: () => void): (() => void) => {
    const timer = { atMs: this.nowMs + delayMs, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  };

  /** Timers that are set. */
  get pending(): number {
    return this.#timers.length;
  }

  /** Lets time pass, with everything that promises do in between. */
  async pass(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    await settlePromises();
    for (;;) {
      const next = this.#timers.reduce<Timer | null>(
        (first, each) =>
          each.atMs <= endMs && (first === null || each.atMs < first.atMs) ? each : first,
        null,
      );
      if (next === null) break;
      this.#timers = this.#timers.filter((each) => each !== next);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.callback();
      await settlePromises();
    }
    this.nowMs = endMs;
  }
}

/** A turn of the event loop: all promises that can settle have done so. */
function settlePromises(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
