import type { Schedule } from "../health/prober.ts";
import type { ProcessUsages } from "./process-usage.ts";

export interface PatienceOptions {
  readonly pid: number;
  readonly limitMs: number;
  readonly usages: ProcessUsages;
  readonly now: () => number;
  readonly schedule: Schedule;
  /** It could have done it by now. Called once. */
  onSpent(): void;
  /** For as long again it could do nothing. Called each time that happens. */
  onHeldUp(): void;
}

const LOOK_MS = 250;

/**
 * Waits for a process to do something. Only time in which that could have done it counts: none in
 * which it was stopped, what it computed where it waits for a processor, and none in which nobody
 * looked, because we were stopped ourselves.
 */
export class Patience {
  readonly #options: PatienceOptions;
  #spentMs = 0;
  #heldUpMs = 0;
  #lookedAtMs: number;
  #computedMs: number | null = null;
  #cancel = (): void => {};

  constructor(options: PatienceOptions) {
    this.#options = options;
    this.#lookedAtMs = options.now();
    this.#lookLater();
  }

  /** It came a step further. */
  renew(): void {
    this.#spentMs = 0;
    this.#heldUpMs = 0;
  }

  end(): void {
    this.#cancel();
  }

  #lookLater(): void {
    this.#cancel = this.#options.schedule(LOOK_MS, () => {
      // First, so that who is called may end it.
      this.#lookLater();
      this.#look();
    });
  }

  #look(): void {
    const { now, limitMs, onSpent, onHeldUp } = this.#options;
    const elapsedMs = Math.min(now() - this.#lookedAtMs, 2 * LOOK_MS);
    this.#lookedAtMs = now();
    const spentMs = this.#spentOf(elapsedMs);
    this.#spentMs += spentMs;
    this.#heldUpMs += elapsedMs - spentMs;
    if (this.#spentMs >= limitMs) {
      this.end();
      onSpent();
    } else if (this.#heldUpMs >= limitMs) {
      this.#heldUpMs = 0;
      onHeldUp();
    }
  }

  #spentOf(elapsedMs: number): number {
    const { usages, pid } = this.#options;
    const before = this.#computedMs;
    this.#computedMs = usages.cpuOf(pid);
    switch (usages.memoryOf(pid)?.state.toUpperCase()) {
      // By a signal, or by a debugger (t).
      case "T":
        return 0;
      case "R":
        if (this.#computedMs === null || before === null) return elapsedMs;
        return Math.min(elapsedMs, this.#computedMs - before);
      // It waits for something of its own, or this platform does not tell.
      default:
        return elapsedMs;
    }
  }
}
