import type { PoolConfig } from "../config/config.ts";
import { RetryBudget } from "../balance/retry-budget.ts";
import type { SettlementOptions, SettlementReports } from "../balance/settle.ts";
import type { PoolBackend } from "../pool/backend.ts";
import type { Pool } from "../pool/pool.ts";
import type { StrategyHost } from "../strategy/host.ts";
import type { DecisionSink } from "./decision-sink.ts";
import type { Transport } from "../transport/exchange.ts";
import type { ShadowFeed } from "./shadow-feed.ts";
import type { Affinity } from "./affinity.ts";

/** What most pools do without: null, or left out. */
export interface ServingPoolExtras {
  readonly affinity?: Affinity | null;
  readonly decisions?: DecisionSink | null;
  readonly shadow?: ShadowFeed | null;
}

/** One pool as this worker serves it: live state, strategy instance and connections. */
export class ServingPool {
  readonly pool: Pool;
  readonly host: StrategyHost;
  /** Null: nothing is retried. */
  readonly budget: RetryBudget | null;
  readonly settlement: SettlementOptions;
  /** Null: nobody asks. */
  readonly decisions: DecisionSink | null;
  /** Null: nobody wants to be shown what is placed. */
  readonly shadow: ShadowFeed | null;
  /** Null: no sticky sessions. */
  readonly affinity: Affinity | null;
  readonly #transports: ReadonlyMap<PoolBackend, Transport>;

  /** `before`: the same pool in the plan before; what it has spent of the retry budget stays spent. */
  constructor(
    pool: Pool,
    host: StrategyHost,
    transports: ReadonlyMap<PoolBackend, Transport>,
    reports: SettlementReports,
    now: () => number,
    before?: ServingPool,
    { affinity = null, decisions = null, shadow = null }: ServingPoolExtras = {},
  ) {
    this.decisions = decisions;
    this.pool = pool;
    this.host = host;
    this.shadow = shadow;
    this.affinity = affinity;
    this.#transports = transports;
    const { retry } = pool.config;
    const kept = retry !== null && retry.budget === before?.config.retry?.budget;
    const fresh = retry === null ? null : new RetryBudget({ fraction: retry.budget, now });
    this.budget = kept ? before.budget : fresh;
    this.settlement = {
      counters: pool.counters,
      failures: pool.config.ejection?.failures ?? null,
      onFailing: (row) => reports.onFailing(row),
      onTrialEnded: (row, trial, ok) => reports.onTrialEnded(row, trial, ok),
    };
  }

  get config(): PoolConfig {
    return this.pool.config;
  }

  transport(backend: PoolBackend): Transport {
    const transport = this.#transports.get(backend);
    if (transport === undefined) throw new Error(`no transport for backend ${backend.id}`);
    return transport;
  }
}
