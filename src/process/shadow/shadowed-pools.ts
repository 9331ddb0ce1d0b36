import type { PoolSupervisor } from "../pool-supervisor.ts";
import type { Provisioned } from "../provision.ts";
import type { ShadowedPool } from "./shadows.ts";

/** The pools that are in force, each with its shadows and its backends as they are now. */
export function shadowedPools(
  { config, strategies, shadows }: Provisioned,
  supervisors: readonly PoolSupervisor[],
): ShadowedPool[] {
  return config.pools.flatMap((pool) => {
    const { name } = pool;
    const acting = strategies[name];
    const supervisor = supervisors.find((each) => each.name === name);
    if (acting === undefined || supervisor === undefined) return [];
    const backends = supervisor.backends();
    return [{ config: pool, acting, shadows: shadows[name] ?? [], backends }];
  });
}
