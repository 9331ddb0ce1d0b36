/**
 * The process that owns the others: it starts workers and replaces those that die, probes backends,
 * decides ejections and answers the admin API. Nothing of the user's runs in it.
 */
import type { ReloadReport, RollbackReport } from "../admin/facts.ts";
import { serveAdmin } from "../admin/server.ts";
import { formatAddress } from "../config/address.ts";
import { countBackends, SPARE_BACKENDS } from "../config/capacity.ts";
import type { SocketAddress } from "../config/config.ts";
import { scheduleTimeout } from "../health/prober.ts";
import type { Logger } from "../log.ts";
import type { Counters } from "../pool/counters.ts";
import { createSharedMemory, type SharedMemory } from "../pool/shared-memory.ts";
import { listChanged, nameVersion } from "../strategy/strategy-version.ts";
import { MasterMetrics } from "../telemetry/metrics/master-metrics.ts";
import type { Snapshot } from "../telemetry/metrics/snapshot.ts";
import { readExportTls } from "../telemetry/tls-files.ts";
import { version } from "../version.ts";
import { AffinitySecret } from "./affinity-secret.ts";
import { createAdminFacts } from "./admin-facts.ts";
import { ConfigInForce } from "./config-in-force.ts";
import { readDescriptors, roomForClients } from "./descriptors.ts";
import { Explainer } from "./explainer.ts";
import { gatherMasterFacts } from "./master-facts.ts";
import { MasterTelemetry } from "./master-telemetry.ts";
import { ListenAddresses } from "./listen-addresses.ts";
import { PoolSupervisors } from "./pool-supervisors.ts";
import { bindError, probeAddress } from "./ports.ts";
import { processUsages } from "./process-usage.ts";
import type { Provisioned } from "./provision.ts";
import { Reloads } from "./reloads.ts";
import { RowTable } from "./row-table.ts";
import { Shadows } from "./shadow/shadows.ts";
import { type SpawnShadow, spawnShadow } from "./shadow/shadow-process.ts";
import { layOutWorkerMemory } from "./worker-memory.ts";
import { WorkerWatch } from "./worker-watch.ts";
import { WorkerGroup } from "./worker-group.ts";
import { spawnWorker, type SpawnWorker } from "./worker-process.ts";

export interface MasterOptions {
  readonly provisioned: Provisioned;
  /** The same again, from the files as they are then; for a reload. */
  readonly provision: (signal: AbortSignal) => Promise<Provisioned>;
  /** Where the strategies' bundles are. */
  readonly tempDir: string;
  readonly now: () => number;
  readonly random: () => number;
  readonly log: Logger;
  /** Default: this program again. */
  readonly spawn?: SpawnWorker;
  /** Default: this program again. */
  readonly spawnShadow?: SpawnShadow;
}

const ADMIN_PLACE = "--admin or admin.address";

export class Master {
  readonly #options: MasterOptions;
  readonly #memory: SharedMemory;
  readonly #counters: Counters;
  readonly #rows: RowTable;
  readonly #explainer: Explainer;
  readonly #affinitySecret: AffinitySecret;
  readonly #inForce: ConfigInForce;
  readonly #supervisors: PoolSupervisors;
  readonly #workers: WorkerGroup;
  readonly #watch: WorkerWatch;
  readonly #metrics: MasterMetrics;
  readonly #telemetry: MasterTelemetry;
  readonly #reloads: Reloads;
  readonly #shadows: Shadows;
  /** A reload that is asked for before waits for it. */
  readonly #startEnded = Promise.withResolvers<void>();
  readonly #ending = new AbortController();
  readonly #listen = new ListenAddresses();
  #adminAddress: SocketAddress;
  #admin: { stop(): void } | null = null;
  #ready = false;

  /** Throws RuntimeError when there is no room for the shared counters, or a file cannot be read. */
  constructor(options: MasterOptions) {
    const { provisioned, now, random, log } = options;
    const { config } = provisioned;
    const memoryBytes = (): number => this.#inForce.current.config.workerMemoryBytes;
    this.#options = options;
    this.#reloads = new Reloads({
      reload: () => this.#reload(),
      wallClock: Date.now,
      now,
      log,
    });
    this.#adminAddress = config.admin.address;
    // One worker more than there are places: a recycled one still serves when its successor does.
    const workers = config.workers + 1;
    const shape = { rows: countBackends(config) + SPARE_BACKENDS, workers };
    const { words, counters, census, metrics, pulse } = layOutWorkerMemory(shape);
    this.#memory = createSharedMemory(words * Int32Array.BYTES_PER_ELEMENT);
    this.#counters = counters(this.#memory.view);
    const censusKey = crypto.randomUUID();
    const connections = census(this.#memory.view, censusKey);
    this.#rows = new RowTable(this.#counters, ({ pool, backend, row }) =>
      this.#metrics.rowEnded(pool, backend, {
        requests: this.#counters.requests(row),
        failures: this.#counters.failures(row),
      }),
    );
    this.#affinitySecret = new AffinitySecret(log);
    this.#metrics = new MasterMetrics({
      regions: Array.from({ length: workers }, (_, column) => metrics(this.#memory.view, column)),
      wallClock: Date.now,
    });
    // Not from `random`: a seed may be given, and two with one name would take each other for a loop.
    const instanceId = crypto.randomUUID();
    const service = { version, instanceId, pid: process.pid };
    const tls = readExportTls(config.telemetry);
    const telemetry = { config: config.telemetry, service, tls };
    this.#telemetry = new MasterTelemetry({ ...telemetry, snapshot: () => this.metrics(), log });
    this.#workers = new WorkerGroup({
      count: config.workers,
      counters: { handle: this.#memory.handle, shape, censusKey },
      version,
      instance: instanceId.slice(0, 8),
      telemetry,
      spawn: options.spawn ?? ((events) => spawnWorker(events, memoryBytes())),
      beforePrepare: () => this.#inForce.restoreFiles(),
      onMessage: (message) => {
        this.#telemetry.receive(message);
        this.#supervisors.receive(message);
      },
      conditionsOf: (plan) => this.#watch.conditionsOf(plan),
      usages: processUsages,
      onExit: (worker, reason) => {
        const { column } = worker;
        this.#counters.returnShare(column);
        connections.returnShare(column);
        this.#metrics.workerEnded(column);
        this.#telemetry.workerEnded(column);
        this.#shadows.workerEnded(column);
        return this.#watch.ended(worker, reason);
      },
      outgrown: (column, { config }) => this.#metrics.isOutgrown(column, config.pools),
      graceMs: () => this.#inForce.current.config.shutdown.graceMs,
      random,
      now,
      schedule: scheduleTimeout,
      log,
    });
    this.#watch = new WorkerWatch({
      workers: () => this.#workers.living,
      pulseOf: (column) => pulse(this.#memory.view, column),
      // While another plan is being brought into force, a worker may have died of either.
      strategies: () => (this.#inForce.changing ? {} : this.#inForce.current.strategies),
      limits: () => this.#inForce.current.config,
      isWhole: () => this.#workers.serving === config.workers,
      recycle: (worker) => this.#workers.recycleOne(worker),
      seal: (strategy) => this.#workers.tell({ type: "seal", strategy }),
      usages: processUsages,
      now,
      schedule: scheduleTimeout,
      log,
    });
    this.#shadows = new Shadows({
      columns: workers,
      version,
      spawn: options.spawnShadow ?? ((events) => spawnShadow(events, memoryBytes())),
      beforeSpawn: () => this.#inForce.restoreFiles(),
      usages: processUsages,
      limits: () => this.#inForce.current.config,
      now,
      random,
      schedule: scheduleTimeout,
      log,
      onGone: (facts) => this.#metrics.shadowGone(facts),
    });
    this.#supervisors = new PoolSupervisors({
      counters: this.#counters,
      tellWorkers: (message) => this.#workers.tell(message),
      now,
      random,
      schedule: scheduleTimeout,
      events: {
        ejected: (...event) => this.#metrics.ejected(...event),
        healthChanged: (pool, backend, to) => {
          this.#metrics.healthChanged(pool, backend, to);
          this.#shadows.healthChanged(pool, backend.id, to);
        },
        weightsChanged: (pool, backends) => this.#shadows.weightsChanged(pool, backends),
      },
      log,
    });
    this.#inForce = new ConfigInForce({
      provisioned,
      provision: options.provision,
      tempDir: options.tempDir,
      signal: this.#ending.signal,
      listen: this.#listen,
      rows: this.#rows,
      affinitySecret: this.#affinitySecret,
      workers: this.#workers,
      watch: this.#watch,
      supervisors: this.#supervisors,
      shadows: this.#shadows,
      metrics: this.#metrics,
    });
    this.#explainer = new Explainer({
      running: () => this.#inForce.current,
      factsOf: (pool) => this.#supervisors.all.find(({ name }) => name === pool)?.facts() ?? [],
      sessionOf: (pool, facts, cookies) => this.#affinitySecret.sessionOf(pool, facts, cookies),
      workers: () => this.#workers.servers,
      beforeFork: () => this.#inForce.restoreFiles(),
      signal: this.#ending.signal,
    });
  }

  /** Where clients are served; after `start` with the real ports. */
  get addresses(): string[] {
    return this.#listen.all.map(formatAddress);
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
      supervisors: this.#supervisors.all,
      strategies: this.#inForce.current.strategies,
      workers: this.#workers,
      shadows: this.#shadows.facts(),
      config: {
        reloads: this.#reloads.count,
        lastSucceeded: this.#reloads.last?.ok ?? true,
        lastSuccessMs: this.#reloads.loadedAtMs,
      },
    });
    return this.#metrics.snapshot(facts);
  }

  /** Resolves when every worker serves. Throws RuntimeError or ConfigError, with nothing left running. */
  async start(): Promise<void> {
    const { config } = this.#inForce.current;
    try {
      await this.#inForce.findAddresses();
      const { all } = this.#listen;
      this.#adminAddress = await probeAddress(this.#adminAddress, ADMIN_PLACE, all);
      this.#serveAdmin();
      this.#watch.start();
      await this.#inForce.start();
      await this.#telemetry.start();
    } catch (error) {
      this.kill();
      throw error;
    }
    this.#supervisors.start();
    this.#inForce.updateShadows();
    this.#startEnded.resolve();
    this.#ready = true;
    this.#warnOfDescriptors();
    this.#affinitySecret.warn(config.pools);
  }

  /** Config and strategies as they are now; asked for while one runs, it is made afterwards. Never rejects. */
  async reload(trigger: string): Promise<ReloadReport> {
    return this.#reloads.request(trigger);
  }

  /**
   * One pool's strategy as it was before the last reload that changed it. Null: there is no such pool.
   *
   * Throws RuntimeError or ConfigError, with nothing changed.
   */
  async rollBack(pool: string): Promise<RollbackReport | null> {
    await this.#startEnded.promise;
    const report = await this.#inForce.rollBack(pool);
    if (report === null) return null;
    const { strategy, before } = report;
    const options = listChanged(before, strategy);
    this.#options.log.info("strategy rolled back", {
      pool,
      strategy: strategy.name,
      version: strategy.version,
      before: nameVersion(before),
      ...(options === "" ? {} : { changedOptions: options }),
    });
    return report;
  }

  /**
   * Not ready at once, and every answer ends its connection; after the delay no new connections; what runs gets the
   * grace.
   */
  async stop(): Promise<void> {
    this.#ready = false;
    this.#ending.abort();
    this.#startEnded.resolve();
    const reloaded = this.#reloads.stop();
    const { delayMs, graceMs } = this.#inForce.current.config.shutdown;
    this.#shadows.stop();
    const stopped = this.#workers.stop({ delayMs, graceMs });
    if (delayMs > 0) await Bun.sleep(delayMs);
    this.#supervisors.stop();
    await stopped;
    await this.#telemetry.stop();
    // Or it would write into a folder that is about to be removed.
    await reloaded;
    await this.#inForce.settled();
    this.#close();
  }

  /** The workers open the file of the access log anew. */
  reopenLogs(): void {
    this.#workers.tell({ type: "reopen" });
  }

  kill(): void {
    this.#ending.abort();
    this.#startEnded.resolve();
    this.#supervisors.stop();
    this.#shadows.stop();
    this.#workers.kill();
    this.#close();
  }

  #close(): void {
    this.#watch.stop();
    this.#admin?.stop();
    this.#admin = null;
    this.#memory.close();
  }

  #warnOfDescriptors(): void {
    const { log } = this.#options;
    const { config } = this.#inForce.current;
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

  /** Nothing has changed when this throws. */
  async #reload(): Promise<readonly string[]> {
    await this.#startEnded.promise;
    const notes = await this.#inForce.reload();
    this.#warnOfDescriptors();
    this.#affinitySecret.warn(this.#inForce.current.config.pools);
    return notes;
  }

  #serveAdmin(): void {
    const address = this.#adminAddress;
    try {
      const facts = createAdminFacts({
        inForce: this.#inForce,
        workers: this.#workers,
        watch: this.#watch,
        supervisors: this.#supervisors,
        shadows: this.#shadows,
        explainer: this.#explainer,
        reloads: this.#reloads,
        telemetry: this.#telemetry,
        metrics: () => this.metrics(),
        ready: () => this.#ready,
        rollBack: (pool) => this.rollBack(pool),
      });
      this.#admin = serveAdmin({ ...this.#inForce.current.config.admin, address }, facts);
    } catch (error) {
      throw bindError(address, error, ADMIN_PLACE);
    }
  }
}
