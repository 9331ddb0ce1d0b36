import type { Counters } from "./counters.ts";

/** Counts one request in flight at one backend until `release`, which only acts once. */
export class Lease {
  readonly #counters: Counters;
  readonly #row: number;
  readonly #worker: number;
  #held = true;

  /**
   * Adds first and looks afterwards, so that two workers can never both slip under the limit.
   * Null when that would put more than `limit` requests in flight (null: no limit).
   */
  static take(counters: Counters, row: number, worker: number, limit: number | null): Lease | null {
    const sum = counters.addInFlight(row, worker, 1);
    if (limit !== null && sum > limit) {
      counters.addInFlight(row, worker, -1);
      return null;
    }
    return new Lease(counters, row, worker);
  }

  private constructor(counters: Counters, row: number, worker: number) {
    this.#counters = counters;
    this.#row = row;
    this.#worker = worker;
  }

  release(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#counters.addInFlight(this.#row, this.#worker, -1);
  }
}
