import type { BackendConfig, PoolConfig } from "../config/config.ts";
import { RuntimeError } from "../errors.ts";
import type { Counters } from "../pool/counters.ts";

/** Which backend has which row of the shared counters. The master's; it outlives a reload. */
export class RowTable {
  readonly #counters: Counters;
  /** By pool, id and URL: the same id with a new URL is a new backend. */
  readonly #taken = new Map<string, number>();
  /** What workers may still choose from. */
  #inForce: ReadonlySet<string> = new Set();

  constructor(counters: Counters) {
    this.#counters = counters;
  }

  /**
   * A row for every backend, by pool and in the order of its backends. A backend that is in force
   * keeps its own; a row whose backend is gone is reused once nothing is in flight there. A backend
   * that comes back begins anew, but what it still has in flight is counted.
   *
   * Throws RuntimeError when there are more backends than rows.
   */
  assign(pools: readonly PoolConfig[]): Record<string, number[]> {
    const wanted = keysOf(pools);
    for (const [key, row] of this.#taken) {
      if (this.#inForce.has(key)) continue;
      if (this.#counters.isQuiet(row)) this.#taken.delete(key);
      else if (wanted.has(key)) this.#counters.forgetState(row);
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
      pools.map((pool) => [
        pool.name,
        pool.backends.map((backend) => this.#rowOf(pool.name, backend)),
      ]),
    );
  }

  /** Every worker has these pools now. */
  committed(pools: readonly PoolConfig[]): void {
    this.#inForce = keysOf(pools);
  }

  #rowOf(pool: string, backend: BackendConfig): number {
    const row = this.#taken.get(backendKey(pool, backend));
    if (row === undefined) throw new Error(`backend ${backend.id} of pool ${pool} has no row`);
    return row;
  }
}

/** What makes a backend the same one across plans. */
export function backendKey(pool: string, { id, url }: BackendConfig): string {
  return JSON.stringify([pool, id, url]);
}

function keysOf(pools: readonly PoolConfig[]): Set<string> {
  return new Set(
    pools.flatMap((pool) => pool.backends.map((backend) => backendKey(pool.name, backend))),
  );
}
