import type { Config } from "../config/config.ts";
import { RuntimeError } from "../errors.ts";
import type { Counters } from "../pool/counters.ts";

/** Which backend has which row of the shared counters. The master's; it outlives a reload. */
export class RowTable {
  readonly #counters: Counters;
  /** By pool, id and URL: the same id with a new URL is a new backend. */
  readonly #taken = new Map<string, number>();

  constructor(counters: Counters) {
    this.#counters = counters;
  }

  /**
   * A row for every backend, by pool and in the order of its backends. A backend that had one keeps
   * it; a row whose backend is gone is reused once nothing is in flight there.
   *
   * Throws RuntimeError when there are more backends than rows.
   */
  assign(config: Config): Record<string, number[]> {
    const wanted = config.pools.flatMap((pool) =>
      pool.backends.map((backend) => keyOf(pool.name, backend.id, backend.url)),
    );
    const keep = new Set(wanted);
    for (const [key, row] of this.#taken) {
      if (!keep.has(key) && this.#counters.isQuiet(row)) this.#taken.delete(key);
    }
    const used = new Set(this.#taken.values());
    let next = 0;
    for (const key of wanted) {
      if (this.#taken.has(key)) continue;
      while (used.has(next)) next++;
      if (next >= this.#counters.shape.rows) {
        throw new RuntimeError(
          `too many backends: there is room for ${this.#counters.shape.rows} over all pools`,
        );
      }
      used.add(next);
      this.#taken.set(key, next);
      this.#counters.startRow(next);
    }
    return Object.fromEntries(
      config.pools.map((pool) => [
        pool.name,
        pool.backends.map((backend) => this.#rowOf(pool.name, backend.id, backend.url)),
      ]),
    );
  }

  #rowOf(pool: string, id: string, url: string): number {
    const row = this.#taken.get(keyOf(pool, id, url));
    if (row === undefined) throw new Error(`backend ${id} of pool ${pool} has no row`);
    return row;
  }
}

function keyOf(pool: string, id: string, url: string): string {
  return JSON.stringify([pool, id, url]);
}
