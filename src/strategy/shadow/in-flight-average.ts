/** How many requests are in flight at one backend: now, at most, and on average over the time. */
export class InFlightAverage {
  #now = 0;
  #max = 0;
  /** Requests times milliseconds, up to `#atMs`. */
  #area = 0;
  readonly #startMs: number;
  #atMs: number;

  constructor(nowMs: number) {
    this.#startMs = nowMs;
    this.#atMs = nowMs;
  }

  get now(): number {
    return this.#now;
  }

  get max(): number {
    return this.#max;
  }

  add(difference: number, nowMs: number): void {
    this.#advance(nowMs);
    this.#now += difference;
    this.#max = Math.max(this.#max, this.#now);
  }

  mean(nowMs: number): number {
    this.#advance(nowMs);
    const elapsedMs = this.#atMs - this.#startMs;
    return elapsedMs === 0 ? this.#now : this.#area / elapsedMs;
  }

  #advance(nowMs: number): void {
    this.#area += this.#now * (nowMs - this.#atMs);
    this.#atMs = nowMs;
  }
}
