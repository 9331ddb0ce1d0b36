import type { Config } from "./config.ts";

/** Backends that reloads may add to those at the start: the memory for their counters is laid out once. */
export const SPARE_BACKENDS = 1024;

/** Over all pools: each shadow is a process of its own. */
export const MAX_SHADOWS = 16;

/** Backends over all pools. */
export function countBackends({ pools }: Pick<Config, "pools">): number {
  return pools.reduce((sum, { backends }) => sum + backends.length, 0);
}
