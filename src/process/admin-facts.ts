import type { AdminFacts } from "../admin/facts.ts";
import { chooseFormat } from "../telemetry/metrics/accept.ts";
import { expose } from "../telemetry/metrics/exposition.ts";
import type { Snapshot } from "../telemetry/metrics/snapshot.ts";
import type { ConfigInForce } from "./config-in-force.ts";
import type { Explainer } from "./explainer.ts";
import { gatherDecisions } from "./gathered-decisions.ts";
import type { MasterTelemetry } from "./master-telemetry.ts";
import { statusOf } from "./pool-status.ts";
import type { PoolSupervisors } from "./pool-supervisors.ts";
import type { Reloads } from "./reloads.ts";
import type { Shadows } from "./shadow/shadows.ts";
import type { WorkerGroup } from "./worker-group.ts";
import type { WorkerWatch } from "./worker-watch.ts";

/** The parts of the master that the admin API shows and commands. */
export interface AdminFactsOptions extends Pick<AdminFacts, "rollBack"> {
  readonly inForce: ConfigInForce;
  readonly workers: WorkerGroup;
  readonly watch: WorkerWatch;
  readonly supervisors: PoolSupervisors;
  readonly shadows: Shadows;
  readonly explainer: Explainer;
  readonly reloads: Reloads;
  readonly telemetry: MasterTelemetry;
  readonly metrics: () => Promise<Snapshot>;
  /** Started, and not told to stop. */
  readonly ready: () => boolean;
}

export function createAdminFacts(options: AdminFactsOptions): AdminFacts {
  const { inForce, workers, watch, supervisors, shadows, explainer, reloads } = options;
  const { telemetry, metrics, ready, rollBack } = options;
  return {
    ready: () =>
      ready() &&
      workers.servers.some((worker) => watch.answers(worker)) &&
      supervisors.hasBackend(),
    pools: async () => {
      const [reports, shadowed] = await Promise.all([workers.reports(), shadows.status()]);
      const { strategies } = inForce.current;
      return supervisors.all.map((each) =>
        statusOf(
          each,
          strategies,
          reports,
          inForce.rolledBackFrom(each.name),
          shadowed[each.name] ?? [],
        ),
      );
    },
    workers: () => workers.status(),
    recycle: () => workers.recycle(),
    metrics: async (accept) => expose(await metrics(), telemetry.origin, chooseFormat(accept)),
    reloads: () => ({
      file: inForce.current.configFile,
      loadedAt: new Date(reloads.loadedAtMs).toISOString(),
      reloads: reloads.count,
      last: reloads.last,
    }),
    decisions: async (query) => {
      const { pool } = query;
      if (pool !== null && inForce.current.strategies[pool] === undefined) return null;
      return gatherDecisions(workers.living, query);
    },
    explain: (question) => explainer.explain(question),
    reload: () => reloads.request("admin API"),
    rollBack,
    setDraining: (pool, backend, draining) => {
      shadows.setDraining(pool, backend, draining);
      return supervisors.setDraining(pool, backend, draining);
    },
  };
}
