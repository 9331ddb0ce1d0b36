import type { RollbackReport } from "../admin/facts.ts";
import type { ListenConfig } from "../config/config.ts";
import { ConfigError } from "../errors.ts";
import type { StrategyVersion } from "../strategy/strategy-version.ts";
import type { MasterMetrics } from "../telemetry/metrics/master-metrics.ts";
import type { AffinitySecret } from "./affinity-secret.ts";
import type { ListenAddresses, PreparedAddresses } from "./listen-addresses.ts";
import type { Plan, PlannedStrategy, ServedConfig } from "./messages.ts";
import type { PoolSupervisors } from "./pool-supervisors.ts";
import type { Provisioned } from "./provision.ts";
import { findRestartProblems } from "./restart-only.ts";
import type { RowTable } from "./row-table.ts";
import { shadowedPools } from "./shadow/shadowed-pools.ts";
import type { Shadows } from "./shadow/shadows.ts";
import { StrategyFiles } from "./strategy-files.ts";
import { StrategyVersions, versionIn } from "./strategy-versions.ts";
import { Turns } from "./turns.ts";
import type { WorkerGroup } from "./worker-group.ts";
import type { WorkerWatch } from "./worker-watch.ts";

export interface ConfigInForceOptions {
  /** What is served first. */
  readonly provisioned: Provisioned;
  /** The same again, from the files as they are then. */
  readonly provision: (signal: AbortSignal) => Promise<Provisioned>;
  /** Where the strategies' bundles are. */
  readonly tempDir: string;
  /** From when it is aborted, shadows are left alone and loading is called off. */
  readonly signal: AbortSignal;
  readonly listen: ListenAddresses;
  readonly rows: RowTable;
  readonly affinitySecret: AffinitySecret;
  readonly workers: WorkerGroup;
  readonly watch: WorkerWatch;
  readonly supervisors: PoolSupervisors;
  readonly shadows: Shadows;
  readonly metrics: MasterMetrics;
}

/** Config and strategies that are served, and how others take their place: as a whole, or not at all. */
export class ConfigInForce {
  readonly #options: ConfigInForceOptions;
  readonly #files = new StrategyFiles();
  readonly #versions = new StrategyVersions();
  /** Reloads and rollbacks, one at a time. */
  readonly #turns = new Turns();
  #current: Provisioned;
  #changing = false;
  #generation = 1;

  /** Throws RuntimeError when there are more backends than there is room for. */
  constructor(options: ConfigInForceOptions) {
    this.#options = options;
    this.#current = options.provisioned;
    const { pools } = options.provisioned.config;
    this.#committed(options.rows.assign(pools));
  }

  get current(): Provisioned {
    return this.#current;
  }

  /** Another one is on its way to the workers. */
  get changing(): boolean {
    return this.#changing;
  }

  /** What a rollback took out of force; null: this pool's strategy is that of the files. */
  rolledBackFrom(pool: string): StrategyVersion | null {
    return this.#versions.rolledBackFrom(pool);
  }

  /** Puts the strategies' bundles back where a process looks for them. May throw. */
  restoreFiles(): void {
    this.#files.restore();
  }

  /** Before the start. Throws RuntimeError when an address cannot be had. */
  async findAddresses(): Promise<void> {
    this.#files.keep(strategiesOf(this.#current));
    (await this.#options.listen.find(this.#current.config.listen)).commit();
  }

  /** Resolves when every worker serves it. Throws RuntimeError or ConfigError. */
  async start(): Promise<void> {
    const { workers, listen } = this.#options;
    const addresses = listen.all.map((address) => ({ address }));
    await workers.apply(this.#plan(this.#current, addresses));
  }

  /** From the files as they are now. Returns what a user should know of it. Nothing has changed when this throws. */
  async reload(): Promise<readonly string[]> {
    let notes: readonly string[] = [];
    await this.#turns.take(() =>
      this.#keepingFiles(async () => {
        notes = await this.#loadAnew();
      }),
    );
    return notes;
  }

  /**
   * One pool's strategy as it was before the last reload that changed it. Null: there is no such pool.
   *
   * Throws RuntimeError or ConfigError, with nothing changed.
   */
  async rollBack(pool: string): Promise<RollbackReport | null> {
    if (this.#current.strategies[pool] === undefined) return null;
    let before = null as StrategyVersion | null;
    await this.#turns.take(async () => {
      // Only now: a reload may have come first.
      before = versionIn(this.#current, pool);
      await this.#keepingFiles(() => this.#rollBack(pool));
    });
    const strategy = versionIn(this.#current, pool);
    if (before === null || strategy === null) throw new Error(`pool ${pool} is gone`);
    return { pool, strategy, before };
  }

  /** Resolves when nothing is on its way any more. */
  async settled(): Promise<void> {
    await this.#turns.take(async () => {});
  }

  updateShadows(): void {
    const { signal, shadows, supervisors } = this.#options;
    // A stop that came meanwhile has ended them.
    if (signal.aborted) return;
    shadows.update(shadowedPools(this.#current, supervisors.all));
  }

  /** Afterwards, whatever came of it, the bundles of what is in force are there, and those of the versions before. */
  async #keepingFiles(change: () => Promise<void>): Promise<void> {
    try {
      await change();
    } finally {
      this.#files.keep([...strategiesOf(this.#current), ...this.#versions.kept]);
      this.#files.removeOthers(this.#options.tempDir);
    }
  }

  async #rollBack(pool: string): Promise<void> {
    const before = this.#current;
    const planned = this.#versions.planRollback(before, pool);
    // Quarantined code is no cure, even if only its options were others.
    const { [pool]: _, ...others } = before.strategies;
    const addresses = await this.#options.listen.find(planned.config.listen);
    await this.#bringIntoForce(planned, addresses, others);
    this.#versions.rolledBack(before, pool);
  }

  async #loadAnew(): Promise<readonly string[]> {
    const { provision, signal, listen } = this.#options;
    const before = this.#current;
    const loaded = await provision(signal);
    const { config, configFile } = loaded;
    const problems = findRestartProblems(before.config, config);
    if (problems.length > 0) throw new ConfigError(problems, { file: configFile });
    await this.#bringIntoForce(loaded, await listen.find(config.listen), before.strategies);
    return this.#versions.reloaded(before, loaded);
  }

  /** `staying`: of those in force, the ones that may go on though they are quarantined. */
  async #bringIntoForce(
    loaded: Provisioned,
    addresses: PreparedAddresses,
    staying: Provisioned["strategies"],
  ): Promise<void> {
    const { watch, supervisors, workers } = this.#options;
    const before = this.#current;
    const { config, configFile } = loaded;
    const plan = this.#plan(loaded, addresses.listen);
    const quarantined = watch.problemsOf(plan, staying);
    if (quarantined.length > 0) throw new ConfigError(quarantined, { file: configFile });
    // Until all have the new one, a worker that dies is replaced by one with the old.
    this.#files.keep([...strategiesOf(before), ...strategiesOf(loaded), ...this.#versions.kept]);
    supervisors.expect(config.pools, plan.rows);
    this.#changing = true;
    try {
      await workers.apply(plan);
      this.#current = loaded;
    } finally {
      this.#changing = false;
    }
    addresses.commit();
    this.#committed(plan.rows);
    this.updateShadows();
  }

  /** What is current is that of the workers, too. */
  #committed(rows: Plan["rows"]): void {
    const { metrics, supervisors, rows: table } = this.#options;
    const { pools } = this.#current.config;
    table.committed(pools);
    metrics.poolsInForce(pools);
    supervisors.update(pools, rows);
  }

  /** Throws RuntimeError when there are more backends than there is room for. */
  #plan({ config, strategies }: Provisioned, listen: readonly ListenConfig[]): Plan {
    const { affinitySecret, rows: table, shadows } = this.#options;
    const { pools, routes, trustedProxies, clientConnections, requestId, accessLog } = config;
    const served: ServedConfig = {
      listen,
      pools: affinitySecret.provide(pools),
      routes,
      trustedProxies,
      clientConnections,
      requestId,
      accessLog,
    };
    const rows = table.assign(pools);
    const shadow = shadows.planFor(pools);
    const plan = { generation: this.#generation++, config: served, rows, strategies };
    return shadow === null ? plan : { ...plan, shadow };
  }
}

/** Those of shadows, too. */
function strategiesOf({ strategies, shadows }: Provisioned): PlannedStrategy[] {
  return [...Object.values(strategies), ...Object.values(shadows).flat()];
}
