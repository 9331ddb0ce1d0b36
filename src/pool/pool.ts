import type { BackendConfig, PoolConfig } from "../config/config.ts";
import { PoolBackend } from "./backend.ts";
import type { Counters } from "./counters.ts";

/** A named group of backends with live state, in one process. */
export class Pool {
  readonly name: string;
  readonly config: PoolConfig;
  readonly backends: readonly PoolBackend[];
  /** Those that are no backups; the same list when none is one. Never empty. */
  readonly primaries: readonly PoolBackend[];
  readonly counters: Counters;

  /**
   * `rows` gives each backend's row in `counters`, in the order of `config.backends`. `make` may
   * give a backend that is there already.
   */
  constructor(
    config: PoolConfig,
    counters: Counters,
    rows: readonly number[],
    make = (backend: BackendConfig, row: number) =>
      new PoolBackend(backend, counters, row, config.slowStart !== null),
  ) {
    if (rows.length !== config.backends.length) {
      throw new RangeError(
        `pool ${config.name}: ${config.backends.length} backends, ${rows.length} rows`,
      );
    }
    this.name = config.name;
    this.config = config;
    this.counters = counters;
    this.backends = config.backends.map((backend, index) => make(backend, rows[index] ?? 0));
    const primaries = this.backends.filter((_, index) => !config.backends[index]?.backup);
    const all = primaries.length === 0 || primaries.length === this.backends.length;
    this.primaries = all ? this.backends : primaries;
  }
}
