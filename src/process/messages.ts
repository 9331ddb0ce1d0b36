/** What master and workers say to each other over Bun's IPC. Plain data, structured-cloned. */
import type { Config } from "../config/config.ts";
import type { Problem } from "../errors.ts";
import type { Health } from "../plugin.ts";
import type { CountersShape } from "../pool/counters.ts";
import type { StrategyDescription, StrategyModule } from "../strategy/module.ts";

/** Everything a worker needs to serve; a reload sends a new one. */
export interface Plan {
  /** Counts up; two-phase messages name it. */
  readonly generation: number;
  readonly config: Config;
  /** Per pool name, in the order of its backends, their rows in the shared counters. */
  readonly rows: Readonly<Record<string, readonly number[]>>;
  readonly strategies: Readonly<Record<string, PlannedStrategy>>;
}

export interface PlannedStrategy {
  readonly module: StrategyModule;
  readonly description: StrategyDescription;
}

/** Sent once, before anything else. */
export interface WorkerSetup {
  readonly index: number;
  readonly counters: { readonly handle: string; readonly shape: CountersShape };
  readonly seed: number;
}

/**
 * A plan takes effect in two phases: every worker prepares it (imports, instances, listeners), and
 * only when all have is it committed; one refusal aborts it everywhere and the old one goes on.
 */
export type ToWorker =
  | { readonly type: "setup"; readonly setup: WorkerSetup }
  | { readonly type: "prepare"; readonly plan: Plan }
  | { readonly type: "commit"; readonly generation: number }
  | { readonly type: "abort"; readonly generation: number }
  | {
      readonly type: "health";
      readonly pool: string;
      readonly backend: string;
      readonly from: Health;
      readonly to: Health;
    }
  | { readonly type: "report"; readonly id: number }
  | { readonly type: "stop"; readonly graceMs: number };

export type FromWorker =
  | { readonly type: "started" }
  | { readonly type: "prepared"; readonly generation: number }
  | {
      readonly type: "refused";
      readonly generation: number;
      readonly problems: readonly Problem[];
      /** True when the machine refused (a port), false when the plan is wrong. */
      readonly atRunTime: boolean;
    }
  | { readonly type: "committed"; readonly generation: number }
  | { readonly type: "failing"; readonly row: number }
  | { readonly type: "trial"; readonly row: number; readonly ok: boolean }
  | { readonly type: "report"; readonly id: number; readonly report: WorkerReport };

export interface WorkerReport {
  readonly pendingRequests: number;
  readonly pools: Readonly<
    Record<string, { readonly faults: number; readonly quarantined: boolean }>
  >;
}
