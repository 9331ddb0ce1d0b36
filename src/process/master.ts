/**
 * The process that owns the others: it starts workers and replaces those that die, probes backends,
 * decides ejections and answers the admin API. Nothing of the user's runs in it.
 */
import { type AdminFacts, serveAdmin } from "../admin/server.ts";
import { formatAddress } from "../config/address.ts";
import { countBackends, SPARE_BACKENDS } from "../config/capacity.ts";
import type { Config, SocketAddress } from "../config/config.ts";
import { scheduleTimeout } from "../health/prober.ts";
import type { Logger } from "../log.ts";
import type { Counters } from "../pool/counters.ts";
import { createSharedMemory, type SharedMemory } from "../pool/shared-memory.ts";
import { chooseFormat } from "../telemetry/metrics/accept.ts";
import { expose } from "../telemetry/metrics/exposition.ts";
import { MasterMetrics } from "../telemetry/metrics/master-metrics.ts";
import type { Snapshot } from "../telemetry/metrics/snapshot.ts";
import { version } from "../version.ts";
import { readDescriptors, roomForClients } from "./descriptors.ts";
import { gatherMasterFacts } from "./master-facts.ts";
import { MasterTelemetry } from "./master-telemetry.ts";
import type { PlannedStrategy, ServedConfig, WorkerReport } from "./messages.ts";
import { PoolSupervisor } from "./pool-supervisor.ts";
import { bindError, listenPlace, probeAddress } from "./ports.ts";
import { RowTable } from "./row-table.ts";
import { StrategyFiles } from "./strategy-files.ts";
import { layOutWorkerMemory } from "./worker-memory.ts";
import { WorkerGroup } from "./worker-group.ts";
import { spawnWorker, type SpawnWorker } from "./worker-process.ts";

export interface MasterOptions {
  readonly config: Config;
  readonly strategies: Readonly<Record<string, PlannedStrategy>>;
  readonly now: () => number;
  readonly random: () => number;
  readonly log: Logger;
  /** Default: this program again. */
  readonly spawn?: SpawnWorker;
}

const ADMIN_PLACE = "--admin or admin.address";

export class Master {
  readonly #options: MasterOptions;
  readonly #memory: SharedMemory;
  readonly #counters: Counters;
  readonly #rows: RowTable;
  readonly #files = new StrategyFiles();
  readonly #supervisors: readonly PoolSupervisor[];
  readonly #workers: WorkerGroup;
  readonly #metrics: MasterMetrics;
  readonly #telemetry: MasterTelemetry;
  readonly #loadedAtMs = Date.now();
  #listen: readonly SocketAddress[];
  #adminAddress: SocketAddress;
  #admin: { stop(): void } | null = null;
  #ready = false;

  /** Throws RuntimeError when there is no room for the shared counters. */
  constructor(options: MasterOptions) {
    const { config, spawn = spawnWorker, now, random, log } = options;
    this.#options = options;
    this.#listen = config.listen.map(({ address }) => address);
    this.#adminAddress = config.admin.address;
    const shape = { rows: countBackends(config) + SPARE_BACKENDS, workers: config.workers };
    const { words, counters, census, metrics } = layOutWorkerMemory(shape);
    this.#memory = createSharedMemory(words * Int32Array.BYTES_PER_ELEMENT);
    this.#counters = counters(this.#memory.view);
    const censusKey = crypto.randomUUID();
    const connections = census(this.#memory.view, censusKey);
    this.#rows = new RowTable(this.#counters);
    this.#metrics = new MasterMetrics({
      regions: Array.from({ length: config.workers }, (_, worker) =>
        metrics(this.#memory.view, worker),
      ),
      wallClock: Date.now,
    });
    // Not from `random`: a seed may be given, and two with one name would take each other for a loop.
    const instanceId = crypto.randomUUID();
    const service = { version, instanceId, pid: process.pid };
    const telemetry = { config: config.telemetry, service };
    this.#telemetry = new MasterTelemetry({ ...telemetry, snapshot: () => this.metrics(), log });
    this.#workers = new WorkerGroup({
      count: config.workers,
      counters: { handle: this.#memory.handle, shape, censusKey },
      version,
      instance: instanceId.slice(0, 8),
      telemetry,
      spawn,
      beforePrepare: () => this.#files.restore(),
      onMessage: (message) => {
        this.#telemetry.receive(message);
        for (const supervisor of this.#supervisors) supervisor.receive(message);
      },
      onExit: (worker) => {
        this.#counters.returnShare(worker);
        connections.returnShare(worker);
        this.#metrics.workerEnded(worker);
        this.#telemetry.workerEnded(worker);
      },
      random,
      now,
      schedule: scheduleTimeout,
      log,
    });
    const rows = this.#rows.assign(config.pools);
    this.#supervisors = config.pools.map(
      (pool) =>
        new PoolSupervisor({
          pool,
          rows: rows[pool.name] ?? [],
          counters: this.#counters,
          tellWorkers: (message) => this.#workers.tell(message),
          now,
          random,
          schedule: scheduleTimeout,
          events: this.#metrics,
          log,
        }),
    );
  }

  /** Where clients are served; after `start` with the real ports. */
  get addresses(): string[] {
    return this.#listen.map(formatAddress);
  }

  get adminAddress(): string {
    return formatAddress(this.#adminAddress);
  }

  /** Backends that there is room for, over all pools and through every reload. */
  get capacity(): number {
    return this.#counters.shape.rows;
  }

  /** The metrics of all processes, also of those that are gone. */
  async metrics(): Promise<Snapshot> {
    const facts = await gatherMasterFacts({
      supervisors: this.#supervisors,
      strategies: this.#options.strategies,
      workers: this.#workers,
      config: { reloads: 0, lastSucceeded: true, lastSuccessMs: this.#loadedAtMs },
    });
    return this.#metrics.snapshot(facts);
  }

  /** Resolves when every worker serves. Throws RuntimeError or ConfigError, with nothing left running. */
  async start(): Promise<void> {
    const { config, strategies } = this.#options;
    const { pools, routes, trustedProxies, clientConnections, requestId, accessLog } = config;
    try {
      this.#files.keep(Object.values(strategies));
      await this.#findAddresses();
      this.#serveAdmin();
      const served: ServedConfig = {
        listen: this.#listen.map((address) => ({ address })),
        pools,
        routes,
        trustedProxies,
        clientConnections,
        requestId,
        accessLog,
      };
      const rows = this.#rows.assign(pools);
      await this.#workers.apply({ generation: 1, config: served, rows, strategies });
      this.#rows.committed(pools);
      await this.#telemetry.start();
    } catch (error) {
      this.kill();
      throw error;
    }
    for (const supervisor of this.#supervisors) supervisor.start();
    this.#ready = true;
    this.#warnOfDescriptors();
  }

  /** Not ready at once; after the delay no new connections; what runs gets the grace. */
  async stop(): Promise<void> {
    this.#ready = false;
    const { delayMs, graceMs } = this.#options.config.shutdown;
    if (delayMs > 0) await Bun.sleep(delayMs);
    for (const supervisor of this.#supervisors) supervisor.stop();
    await this.#workers.stop(graceMs);
    await this.#telemetry.stop();
    this.#close();
  }

  /** The workers open the file of the access log anew. */
  reopenLogs(): void {
    this.#workers.tell({ type: "reopen" });
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

  #warnOfDescriptors(): void {
    const { config, log } = this.#options;
    const { max } = config.clientConnections;
    const { limit } = readDescriptors();
    if (max === null || limit === null) return;
    const room = roomForClients(limit) * config.workers;
    if (max <= room) return;
    log.warn("clientConnections.max is more than there are file descriptors for", {
      max,
      room,
      descriptorsPerWorker: limit,
      hint: "raise the hard limit (ulimit -Hn, LimitNOFILE of systemd)",
    });
  }

  /** Every address checked and with its real port. */
  async #findAddresses(): Promise<void> {
    const found: SocketAddress[] = [];
    for (const [index, address] of this.#listen.entries()) {
      found.push(await probeAddress(address, listenPlace(index)));
    }
    this.#listen = found;
    this.#adminAddress = await probeAddress(this.#adminAddress, ADMIN_PLACE);
  }

  #serveAdmin(): void {
    const address = this.#adminAddress;
    try {
      this.#admin = serveAdmin({ ...this.#options.config.admin, address }, this.#adminFacts());
    } catch (error) {
      throw bindError(address, error, ADMIN_PLACE);
    }
  }

  #adminFacts(): AdminFacts {
    return {
      ready: () =>
        this.#ready &&
        this.#workers.serving > 0 &&
        this.#supervisors.some((supervisor) => supervisor.hasBackend()),
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
      metrics: async (accept) =>
        expose(await this.metrics(), this.#telemetry.origin, chooseFormat(accept)),
    };
  }

  #strategyStatus(pool: string, reports: readonly (WorkerReport | null)[]) {
    const description = this.#options.strategies[pool]?.description;
    if (description === undefined) throw new Error(`pool ${pool} has no strategy`);
    const seen = reports.flatMap((report) => report?.pools[pool] ?? []);
    return {
      ...description,
      quarantined: seen.some(({ quarantined }) => quarantined),
      faults: seen.reduce((sum, { faults }) => sum + faults, 0),
    };
  }
}
