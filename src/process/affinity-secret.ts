import { randomBytes } from "node:crypto";
import type { BackendFacts } from "../admin/explanation.ts";
import type { PoolConfig } from "../config/config.ts";
import type { Logger } from "../log.ts";
import { Affinity } from "../proxy/affinity.ts";

/** The secret of pools that are given none: made once, the same in all workers and through every reload. */
export class AffinitySecret {
  readonly #log: Logger;
  readonly #warned = new Set<string>();
  #secret: string | null = null;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** The pools with a secret where they have sticky sessions. */
  provide(pools: readonly PoolConfig[]): PoolConfig[] {
    return pools.map((pool) => {
      const { affinity } = pool;
      if (affinity === null || affinity.secret !== null) return pool;
      this.#secret ??= randomBytes(32).toString("base64url");
      return { ...pool, affinity: { ...affinity, secret: this.#secret } };
    });
  }

  /** The id of the backend where a client with these cookies has its session; null: it has none there. */
  sessionOf(
    pool: PoolConfig,
    facts: readonly BackendFacts[],
    cookies: string | null,
  ): string | null {
    const [{ affinity } = pool] = this.provide([pool]);
    if (affinity === null || affinity.secret === null) return null;
    const backends = facts.map(({ config, draining }) => ({ id: config.id, draining }));
    const known = { name: pool.name, backends };
    const reader = new Affinity(known, affinity, affinity.secret, Date.now);
    return reader.sessionOf(cookies)?.backend.id ?? null;
  }

  /** Once for each pool of these, which are in force, that got its secret here. */
  warn(pools: readonly PoolConfig[]): void {
    for (const { name, affinity } of pools) {
      if (affinity === null || affinity.secret !== null || this.#warned.has(name)) continue;
      this.#warned.add(name);
      this.#log.warn("sticky sessions end with this process", {
        pool: name,
        hint: "no other instance can read their cookies: set affinity.secret",
      });
    }
  }
}
