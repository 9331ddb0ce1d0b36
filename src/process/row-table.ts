import type { BackendConfig, PoolConfig } from "../config/config.ts";
import { RuntimeError } from "../errors.ts";
import type { Counters } from "../pool/counters.ts";

export interface Taken {
  readonly pool: string;
  readonly backend: BackendConfig;
  readonly row: number;
}

type RowEnded = (taken: Taken) => void;

/** Which backend has which row of the shared counters. The master's; it outlives a reload. */
export class RowTable {
  readonly #counters: Counters;
  readonly #onEnded: RowEnded;
  /** By pool, id and URL: the same id with a new URL is a new backend. */
  readonly #taken = new Map<string, Taken>();
  /** What workers choose from. */
  #inForce: ReadonlySet<string> = new Set();

  /** `onEnded`: a backend gives up its row, with what is counted there. */
  constructor(counters: Counters, onEnded: RowEnded) {
    this.#counters = counters;
    this.#onEnded = onEnded;
  }

  /**
   * A row for every backend, by pool and in the order of its backends. A backend that is in force
   * keeps its own; a row whose backend is gone is reused once nothing is in flight there. A backend
   * that comes back begins anew, but what it still has in flight is counted.
   *
   * Throws RuntimeError when there are more backends than rows.
   */
  assign(pools: readonly PoolConfig[]): Record<string, number[]> {
    const wanted = byKey(pools);
    for (const [key, taken] of this.#taken) {
      const { row } = taken;
      if (this.#inForce.has(key)) continue;
      // Before the look at what it has: a worker may have come to know it since it was removed.
      this.#counters.endRow(row);
      if (this.#counters.isQuiet(row)) {
        this.#taken.delete(key);
        this.#onEnded(taken);
      } else if (wanted.has(key)) this.#counters.forgetState(row);
    }
    const used = new Set([...this.#taken.values()].map(({ row }) => row));
    let next = 0;
    for (const [key, backend] of wanted) {
      if (this.#taken.has(key)) continue;
      while (used.has(next)) next++;
      if (next >= this.#counters.shape.rows) {
        throw new RuntimeError(
          `too many backends: there is room for ${this.#counters.shape.rows} over all pools`,
        );
      }
      used.add(next);
      this.#taken.set(key, { ...backend, row: next });
      this.#counters.startRow(next);
    }
    return Object.fromEntries(
      pools.map((pool) => [
        pool.name,
        pool.backends.map((backend) => this.#rowOf(pool.name, backend)),
      ]),
    );
  }

  /** Every worker has these pools now. Those that are gone get nothing more, from requests of before either. */
  committed(pools: readonly PoolConfig[]): void {
    const before = this.#inForce;
    this.#inForce = new Set(byKey(pools).keys());
    for (const [key, { row }] of this.#taken) {
      if (before.has(key) && !this.#inForce.has(key)) this.#counters.endRow(row);
    }
  }

  #rowOf(pool: string, backend: BackendConfig): number {
    const taken = this.#taken.get(backendKey(pool, backend));
    if (taken === undefined) throw new Error(`backend ${backend.id} of pool ${pool} has no row`);
    return taken.row;
  }
}

/** What makes a backend the same one across plans. */
export function backendKey(pool: string, { id, url }: BackendConfig): string {
  return JSON.stringify([pool, id, url]);
}

function byKey(pools: readonly PoolConfig[]): Map<string, Omit<Taken, "row">> {
  return new Map(
    pools.flatMap(({ name, backends }) =>
      backends.map((backend) => [backendKey(name, backend), { pool: name, backend }] as const),
    ),
  );
}
