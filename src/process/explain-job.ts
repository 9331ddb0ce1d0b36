import type { BackendFacts, ExplainedRequest, Modifications } from "../admin/explanation.ts";
import type { RecordedDecision } from "../admin/recorded-decision.ts";
import type { PoolConfig, StrategyConfig } from "../config/config.ts";
import type { StrategyDescription, StrategyModule } from "../strategy/module.ts";

/** A question about a strategy that one of its copies answers, in a child; plain data. */
export type ExplainJob = {
  readonly kind: "explain";
  readonly strategy: StrategyConfig;
  readonly module: StrategyModule;
  readonly description: StrategyDescription;
} & (ForkTask | ReplayTask);

/** Who would get this request? */
export interface ForkTask {
  readonly task: "fork";
  readonly pool: PoolConfig;
  /** Of each backend of the pool, in its order. */
  readonly facts: readonly BackendFacts[];
  readonly request: ExplainedRequest;
  /** One fork is made of each; at least one. */
  readonly instances: readonly ForkedInstance[];
  /** Id of the backend where the client's session is; null: it has none. */
  readonly session: string | null;
  /** Null: as things are. */
  readonly modifications: Modifications | null;
}

export interface ForkedInstance {
  /** Null: it is not known whose. */
  readonly worker: number | null;
  readonly name: string;
  /** It is not asked: least connections answers. */
  readonly quarantined: boolean;
  readonly nowMs: number;
  readonly bytes: Uint8Array | null;
}

/** Whom does a copy of the strategy pick that is given what a recorded decision was made of? */
export interface ReplayTask {
  readonly task: "replay";
  readonly decision: RecordedDecision;
  readonly bytes: Uint8Array | null;
  readonly seeds: readonly number[];
}

/** For each seed, the id that was picked, or null; `previous` is what `bytes` held. */
export interface Replayed {
  readonly picks: readonly (string | null)[];
  readonly previous: unknown;
  /** What of `previous` a test cannot write down; null when it can all of it. */
  readonly loss: string | null;
  readonly fault: string | null;
}

/** For the child: a thousand picks of a pool with thousands of backends take their time. */
export function deadlineMs(backends: number): number {
  return 5000 + 2000 * Math.floor(backends / 1000);
}
