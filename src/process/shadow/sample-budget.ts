/** Attempts per second and worker that shadows are shown: a traffic of thousands looks the same in a part of it. */
const PER_SECOND = 1000;
/** At once. */
const BURST = 100;

/** Bounds what shadows cost the worker that tells them. */
export class SampleBudget {
  #left = BURST;
  #filledAtMs: number;

  constructor(nowMs: number) {
    this.#filledAtMs = nowMs;
  }

  take(nowMs: number): boolean {
    const added = ((nowMs - this.#filledAtMs) * PER_SECOND) / 1000;
    this.#left = Math.min(BURST, this.#left + added);
    this.#filledAtMs = nowMs;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
