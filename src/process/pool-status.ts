import type { PoolStatus } from "../admin/facts.ts";
import { isSameStrategy, type StrategyVersion } from "../strategy/strategy-version.ts";
import type { PlannedStrategy, WorkerReport } from "./messages.ts";
import type { PoolSupervisor } from "./pool-supervisor.ts";

/** A pool for the admin API. `reports`: null for a worker that did not answer. */
export function statusOf(
  supervisor: PoolSupervisor,
  strategies: Readonly<Record<string, PlannedStrategy>>,
  reports: readonly (WorkerReport | null)[],
  rolledBackFrom: StrategyVersion | null,
  shadow: PoolStatus["shadow"],
): PoolStatus {
  const { name } = supervisor;
  const description = strategies[name]?.description;
  if (description === undefined) throw new Error(`pool ${name} has no strategy`);
  const seen = reports.flatMap((report) => report?.pools[name] ?? []);
  return {
    name,
    queued: 0,
    affinity: supervisor.config.affinity?.cookie ?? null,
    strategy: {
      ...description,
      quarantined: seen.some(({ quarantined }) => quarantined),
      faults: seen.reduce((sum, { faults }) => sum + faults, 0),
      rolledBackFrom:
        rolledBackFrom === null
          ? null
          : {
              name: rolledBackFrom.name,
              version: rolledBackFrom.version,
              onlyOptions: isSameStrategy(description, rolledBackFrom),
            },
    },
    backends: supervisor.backends(),
    shadow,
  };
}
