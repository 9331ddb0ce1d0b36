import type { ConfigFacts, MasterFacts } from "../telemetry/metrics/master-metrics.ts";
import type { ShadowFacts } from "../telemetry/metrics/shadow-metrics.ts";
import type { PlannedStrategy, WorkerReport } from "./messages.ts";
import type { PoolSupervisor } from "./pool-supervisor.ts";
import type { WorkerGroup } from "./worker-group.ts";

export interface MasterFactsSources {
  readonly supervisors: readonly PoolSupervisor[];
  readonly strategies: Readonly<Record<string, PlannedStrategy>>;
  readonly workers: WorkerGroup;
  readonly shadows: Promise<readonly ShadowFacts[]>;
  readonly config: ConfigFacts;
}

/** What the master shows in metrics beside what workers count. A worker that does not answer is left out. */
export async function gatherMasterFacts(sources: MasterFactsSources): Promise<MasterFacts> {
  const { supervisors, strategies, workers, shadows, config } = sources;
  const reports = (await workers.reports()).filter((report) => report !== null);
  return {
    backends: supervisors.flatMap((supervisor) =>
      supervisor.backends().map((backend) => ({
        ...backend,
        pool: supervisor.name,
        ejected: backend.ejectedUntil !== null,
      })),
    ),
    strategies: Object.entries(strategies).map(([pool, { description }]) => ({
      pool,
      strategy: description.name,
      quarantined: reports.filter(({ pools }) => pools[pool]?.quarantined).length,
    })),
    workers: { serving: workers.serving, restarts: workers.restarts },
    clientConnections: sumOf(reports),
    shadows: await shadows,
    config,
  };
}

/** Null when no worker can tell. */
function sumOf(reports: readonly WorkerReport[]): number | null {
  const known = reports.flatMap(({ clientConnections }) => clientConnections ?? []);
  return known.length === 0 ? null : known.reduce((sum, count) => sum + count, 0);
}
