/**
 * The process that owns the others: it starts workers and replaces those that die, probes backends,
 * decides ejections and answers the admin API. Nothing of the user's runs in it.
 */
import { type AdminFacts, serveAdmin } from "../admin/server.ts";
import { formatAddress } from "../config/address.ts";
import type { Config } from "../config/config.ts";

import type { Logger } from "../log.ts";
import { Counters, countersLength } from "../pool/counters.ts";
import { createSharedMemory, type SharedMemory } from "../pool/shared-memory.ts";
import type { Plan, PlannedStrategy, WorkerReport } from "./messages.ts";
import { probeAddress } from "./ports.ts";
import { PoolSupervisor } from "./pool-supervisor.ts";
import { RowTable } from "./row-table.ts";
import { WorkerGroup } from "./worker-group.ts";

export interface MasterOptions {
  readonly config: Config;
  readonly strategies: Readonly<Record<string, PlannedStrategy>>;
  readonly now: () => number;
  readonly random: () => number;
  readonly log: Logger;
}

/** Room for backends over all pools, now and after any reload; fixed at start. */
const SPARE_ROWS = 1024;

export class Master {
  readonly #config: Config;
  readonly #memory: SharedMemory;
  readonly #counters: Counters;
  readonly #supervisors: readonly PoolSupervisor[];
  readonly #workers: WorkerGroup;
  readonly #plan: Plan;
  #admin: { stop(): void } | null = null;
  #ready = false;

  /** Throws RuntimeError when an address is taken or there are too many backends. */
  constructor(options: MasterOptions) {
    const { strategies, now, random, log } = options;
    this.#config = bindable(options.config);
    const backends = this.#config.pools.reduce((sum, pool) => sum + pool.backends.length, 0);
    const shape = { rows: Math.max(SPARE_ROWS, backends), workers: this.#config.workers };
    this.#memory = createSharedMemory(countersLength(shape) * Int32Array.BYTES_PER_ELEMENT);
    this.#counters = new Counters(this.#memory.view, shape);
    const rows = new RowTable(this.#counters).assign(this.#config);
    this.#plan = { generation: 1, config: this.#config, rows, strategies };
    this.#workers = new WorkerGroup({
      counters: { handle: this.#memory.handle, shape },
      plan: () => this.#plan,
      onMessage: (message) => {
        for (const supervisor of this.#supervisors) supervisor.receive(message);
      },
      onExit: (worker) => this.#counters.returnShare(worker),
      random,
      now,
      log,
    });
    this.#supervisors = this.#config.pools.map(
      (pool) =>
        new PoolSupervisor({
          pool,
          rows: rows[pool.name] ?? [],
          counters: this.#counters,
          tellWorkers: (message) => this.#workers.tell(message),
          now,
          random,
          log,
        }),
    );
  }

  /** Where clients are served, ports resolved. */
  get addresses(): string[] {
    return this.#config.listen.map(({ address }) => formatAddress(address));
  }

  get adminAddress(): string {
    return formatAddress(this.#config.admin.address);
  }

  /** Resolves when every worker serves. Throws RuntimeError or ConfigError, with nothing left running. */
  async start(): Promise<void> {
    try {
      this.#admin = serveAdmin(this.#config.admin, this.#adminFacts());
      await this.#workers.start(this.#config.workers);
    } catch (error) {
      this.kill();
      throw error;
    }
    for (const supervisor of this.#supervisors) supervisor.start();
    this.#ready = true;
  }

  /** Not ready at once; after the delay no new connections; what runs gets the grace. */
  async stop(): Promise<void> {
    this.#ready = false;
    const { delayMs, graceMs } = this.#config.shutdown;
    if (delayMs > 0) await Bun.sleep(delayMs);
    for (const supervisor of this.#supervisors) supervisor.stop();
    await this.#workers.stop(graceMs);
    this.#close();
  }

  kill(): void {
    for (const supervisor of this.#supervisors) supervisor.stop();
    this.#workers.kill();
    this.#close();
  }

  #close(): void {
    this.#admin?.stop();
    this.#admin = null;
    this.#memory.close();
  }

  #adminFacts(): AdminFacts {
    return {
      ready: () => this.#ready && this.#supervisors.some((supervisor) => supervisor.hasBackend()),
      pools: async () => {
        const reports = await this.#workers.reports();
        return this.#supervisors.map((supervisor) => ({
          name: supervisor.name,
          queued: 0,
          strategy: this.#strategyStatus(supervisor.name, reports),
          backends: supervisor.backends(),
        }));
      },
      workers: () => this.#workers.status(),
    };
  }

  #strategyStatus(pool: string, reports: readonly (WorkerReport | null)[]) {
    const description = this.#plan.strategies[pool]?.description;
    if (description === undefined) throw new Error(`pool ${pool} has no strategy`);
    const seen = reports.flatMap((report) => report?.pools[pool] ?? []);
    return {
      ...description,
      quarantined: seen.some(({ quarantined }) => quarantined),
      faults: seen.reduce((sum, { faults }) => sum + faults, 0),
    };
  }
}

/** Every address checked and with its real port. */
function bindable(config: Config): Config {
  const listen = config.listen.map(({ address }) => ({
    address: probeAddress(address, "--listen"),
  }));
  const admin = { ...config.admin, address: probeAddress(config.admin.address, "--admin") };
  return { ...config, listen, admin };
}
