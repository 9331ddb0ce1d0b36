import type { Logger } from "../log.ts";
import type { StrategyPlugin } from "../plugin.ts";
import type { Pool } from "../pool/pool.ts";
import type { CallMark, WorkerPulse } from "../pool/worker-pulse.ts";
import { StrategyHost } from "../strategy/host.ts";
import { loadPlugin } from "../strategy/load.ts";
import type { StrategyModule } from "../strategy/module.ts";
import type { WorkerMetrics } from "../telemetry/metrics/worker-metrics.ts";
import type { Plan, StrategyCondition, StrategyConditions } from "./messages.ts";

export interface StrategyHostsOptions {
  readonly pulse: WorkerPulse;
  readonly metrics: WorkerMetrics;
  readonly now: () => number;
  readonly random: () => number;
  readonly log: Logger;
}

/** What a strategy instance was made of: another one of the same would only know less. */
interface Origin {
  readonly module: StrategyModule;
  readonly options: unknown;
  readonly condition: StrategyCondition;
}

/** The strategy instances of a worker. */
export class StrategyHosts {
  readonly #options: StrategyHostsOptions;
  readonly #origins = new WeakMap<StrategyHost, Origin>();

  constructor(options: StrategyHostsOptions) {
    this.#options = options;
  }

  /**
   * The instance that serves a pool of this plan: `old`, which serves it now, when that is made of
   * the same. Throws ConfigError when the plugin makes none.
   */
  async make(
    pool: Pool,
    plan: Plan,
    conditions: StrategyConditions,
    old: StrategyHost | null,
  ): Promise<StrategyHost> {
    const { name, config } = pool;
    const planned = plan.strategies[name];
    const condition = conditions[name];
    if (planned === undefined || condition === undefined) {
      throw new Error(`the plan has no strategy for pool ${name}`);
    }
    const { module, description } = planned;
    const { options } = config.strategy;
    // A copy: the strategy may change the one that it is given.
    const origin: Origin = { module, options: structuredClone(options), condition };
    // What it has learnt would be lost with it.
    // Its quarantine ends when it is loaded again.
    const isSame = old?.quarantined === false && Bun.deepEquals(this.#origins.get(old), origin);
    if (isSame) return old;
    const { pulse, metrics, now, random, log } = this.#options;
    const { sealed, number } = condition;
    const mark = pulse.callsOf(number);
    const plugin = sealed ? unloaded(description.name) : await markedImport(module, mark);
    // However many pools are made in one turn of the event loop, each has the watchdog's time.
    pulse.beat();
    const host = new StrategyHost({
      plugin,
      version: description.version,
      options,
      pool: name,
      backends: pool.backends,
      now,
      random,
      log,
      metrics,
      mark,
      sealed,
      // Nothing of the plugin's is read here: its name may be a getter.
      onFault: (fault) => metrics.fault(name, description.name, fault),
      onSlowPick: () => metrics.slowPick(name, description.name),
      previous: old?.name === plugin.name ? { name: old.name, snapshot: old.takeSnapshot() } : null,
    });
    this.#origins.set(host, origin);
    return host;
  }

  /** Those of this number are called no more. */
  seal(strategy: number, hosts: Iterable<StrategyHost>): void {
    for (const host of hosts) {
      if (this.#origins.get(host)?.condition.number === strategy) host.seal();
    }
  }
}

async function markedImport(
  module: StrategyModule,
  mark: CallMark,
): Promise<StrategyPlugin<unknown>> {
  const before = mark.enter("import");
  try {
    return await loadPlugin(module);
  } finally {
    mark.leave(before);
  }
}

/** In place of a plugin that may not even be imported. */
function unloaded(name: string): StrategyPlugin<unknown> {
  return {
    name,
    apiVersion: 1,
    create() {
      throw new Error(`${name} is sealed`);
    },
  };
}
