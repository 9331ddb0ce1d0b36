const SWEEP_MS = 1000;
/** A sweep that comes so late came after a time in which this process stood still, and nobody else is to blame. */
const LATE_MS = 500;

/**
 * Notices that something made no progress for a while. One coarse timer serves all: a timer per
 * request costs more than the request's own bookkeeping, and Bun's idle timer cuts slow but steady
 * peers while it forgets those that stopped.
 */
export class StallWatch {
  readonly #now: () => number;
  readonly #watches = new Set<Watch>();
  #timer: ReturnType<typeof setInterval> | null = null;
  #sweptAtMs = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * `onStall` is called once, at most a second late, unless `stop` comes first. A change of `level`
   * is progress; without it there is none.
   */
  watch(idleMs: number, onStall: () => void, level: () => number = constant): Watch {
    const watch = new Watch(this.#now(), idleMs, onStall, level, this.#watches);
    this.#watches.add(watch);
    if (this.#timer === null) {
      this.#sweptAtMs = this.#now();
      this.#timer = setInterval(() => this.#sweep(), SWEEP_MS);
    }
    return watch;
  }

  #sweep(): void {
    const now = this.#now();
    const lateMs = now - this.#sweptAtMs - SWEEP_MS;
    this.#sweptAtMs = now;
    for (const watch of this.#watches) watch.check(now, lateMs > LATE_MS ? lateMs : 0);
    if (this.#watches.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }
}

export class Watch {
  readonly #idleMs: number;
  readonly #onStall: () => void;
  readonly #level: () => number;
  readonly #running: Set<Watch>;
  #since: number;
  #lastLevel: number;

  constructor(
    since: number,
    idleMs: number,
    onStall: () => void,
    level: () => number,
    running: Set<Watch>,
  ) {
    this.#idleMs = idleMs;
    this.#onStall = onStall;
    this.#level = level;
    this.#running = running;
    this.#since = since;
    this.#lastLevel = level();
  }

  /** `pausedMs` of the time since the last check do not count. */
  check(now: number, pausedMs: number): void {
    this.#since = Math.min(now, this.#since + pausedMs);
    const level = this.#level();
    if (level !== this.#lastLevel) {
      this.#lastLevel = level;
      this.#since = now;
    }
    if (now - this.#since < this.#idleMs) return;
    this.stop();
    this.#onStall();
  }

  stop(): void {
    this.#running.delete(this);
  }
}

function constant(): number {
  return 0;
}
