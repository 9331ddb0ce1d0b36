/** A process that serves traffic. It does what its master says, and ends when its master does. */
import { ConfigError, RuntimeError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { rowOf } from "../pool/backend.ts";
import type { Pool } from "../pool/pool.ts";
import { openSharedMemory } from "../pool/shared-memory.ts";
import type { AttemptLoopContext } from "../proxy/attempt-loop.ts";
import type { Handler } from "../proxy/front.ts";
import { createTrust } from "../proxy/client-address.ts";
import { createHandler } from "../proxy/handler.ts";
import type { RequestObserver } from "../proxy/observer.ts";
import { ServingPool } from "../proxy/serving-pool.ts";
import { StallWatch } from "../proxy/stall-watch.ts";
import { StrategyHost } from "../strategy/host.ts";
import { loadPlugin } from "../strategy/load.ts";
import { createRandom } from "../strategy/random.ts";
import { openSocketCalls } from "../transport/socket-calls.ts";
import type { AccessLog } from "../telemetry/access-log/access-log.ts";
import { combineObservers } from "../telemetry/combined-observer.ts";
import { WorkerMetrics } from "../telemetry/metrics/worker-metrics.ts";
import { AccessLogs } from "./access-logs.ts";
import { ClientConnections } from "./client-connections.ts";
import { readDescriptors, watchIntervalMs } from "./descriptors.ts";
import { Listeners, type PreparedListeners } from "./listeners.ts";
import { LiveBackends, type PreparedBackends } from "./live-backends.ts";
import type {
  FromWorker,
  Plan,
  ServedConfig,
  ToWorker,
  WorkerReport,
  WorkerSetup,
} from "./messages.ts";
import { layOutWorkerMemory } from "./worker-memory.ts";

export interface WorkerOptions {
  readonly setup: WorkerSetup;
  readonly tell: (message: FromWorker) => void;
  /** Beside the metrics, which are always counted; null: nobody. */
  readonly observer: RequestObserver | null;
  /** Methods that metrics name; all others are one. */
  readonly knownMethods: ReadonlySet<string>;
  readonly now: () => number;
  readonly log: Logger;
}

/** A plan's pools, each with its strategy instance. */
type ServingPools = ReadonlyMap<string, ServingPool>;

interface Prepared {
  readonly generation: number;
  readonly config: ServedConfig;
  readonly pools: ServingPools;
  readonly backends: PreparedBackends;
  readonly listeners: PreparedListeners;
  readonly accessLog: AccessLog | null;
  readonly handler: Handler;
}

/** Takes messages one at a time: the next one when `receive` has resolved. */
export class Worker {
  readonly #options: WorkerOptions;
  readonly #random: () => number;
  readonly #context: AttemptLoopContext;
  readonly #metrics: WorkerMetrics;
  readonly #observer: RequestObserver | null;
  readonly #backends: LiveBackends;
  readonly #listeners: Listeners;
  readonly #accessLogs: AccessLogs;
  /** Null: this platform does not tell about connections. */
  readonly #clientConnections: ClientConnections | null = null;
  readonly #watch: ReturnType<typeof setInterval> | undefined;
  #prepared: Prepared | null = null;
  #serving: ServingPools = new Map();

  /** Throws when the shared counters cannot be mapped. */
  constructor(options: WorkerOptions) {
    const { setup, now, log, knownMethods } = options;
    this.#options = options;
    const { index, seed } = setup;
    this.#accessLogs = new AccessLogs({
      now,
      log,
      onDropped: () => this.#metrics.lineDropped(),
    });
    const memory = openSharedMemory(setup.counters.handle);
    const layout = layOutWorkerMemory(setup.counters.shape);
    const counters = layout.counters(memory);
    this.#metrics = new WorkerMetrics({
      words: layout.metrics(memory, index),
      knownMethods,
      now,
      log,
    });
    this.#observer = combineObservers(options.observer, this.#metrics.observer);
    this.#random = createRandom(seed);
    const socketCalls = openSocketCalls();
    this.#backends = new LiveBackends({ counters, worker: index, socketCalls, now });
    const descriptors = readDescriptors();
    const stalls = new StallWatch(now);
    const listeners = new Listeners({
      worker: index,
      stalls,
      calls: socketCalls,
      descriptors,
      log,
    });
    this.#listeners = listeners;
    if (socketCalls !== null) {
      this.#clientConnections = new ClientConnections({
        calls: socketCalls,
        descriptors,
        census: layout.census(memory, setup.counters.censusKey),
        worker: index,
        isListener: (local) => listeners.owns(local),
        underWay: () => listeners.underWay(),
        now,
        log,
      });
      this.#watch = setInterval(
        () => this.#clientConnections?.tick(),
        watchIntervalMs(descriptors.limit),
      );
    }
    let attempts = 0;
    this.#context = {
      worker: index,
      now,
      nextAttemptId: () => ++attempts,
    };
  }

  async receive(message: Exclude<ToWorker, { type: "setup" }>): Promise<void> {
    const { tell } = this.#options;
    switch (message.type) {
      case "prepare":
        tell(await this.#prepare(message.plan));
        break;
      case "commit":
        tell(this.#commit(message.generation));
        break;
      case "abort":
        if (this.#prepared?.generation === message.generation) this.#abort();
        break;
      case "health":
        this.#healthChanged(message);
        break;
      case "report":
        tell({ type: "report", id: message.id, report: this.#report() });
        break;
      case "reopen":
        await this.#accessLogs.reopen(this.#prepared?.accessLog ?? null);
        break;
      case "stop":
        this.#abort();
        await this.#listeners.stop(message.graceMs);
        await this.#accessLogs.close();
        clearInterval(this.#watch);
        this.#backends.close();
        for (const { host } of this.#serving.values()) host.dispose();
        break;
    }
  }

  async #prepare(plan: Plan): Promise<FromWorker> {
    const { generation, config } = plan;
    this.#abort();
    const backends = this.#backends.prepare(config.pools, plan.rows);
    const pools = new Map<string, ServingPool>();
    let accessLog: AccessLog | null = null;
    try {
      for (const pool of backends.pools.values()) {
        pools.set(pool.name, await this.#createPool(plan, pool, backends));
      }
      accessLog = await this.#accessLogs.prepare(config.accessLog);
      const handler = this.#createHandler(plan, pools, accessLog);
      const listeners = await this.#listeners.prepare(config.listen);
      this.#prepared = { generation, config, pools, backends, listeners, accessLog, handler };
      return { type: "prepared", generation };
    } catch (error) {
      for (const { host } of pools.values()) host.dispose();
      this.#accessLogs.abort(accessLog);
      const problems =
        error instanceof ConfigError
          ? error.problems
          : [{ path: `worker ${this.#options.setup.index}`, message: messageOf(error) }];
      return { type: "refused", generation, problems, atRunTime: error instanceof RuntimeError };
    }
  }

  async #createPool(plan: Plan, pool: Pool, backends: PreparedBackends): Promise<ServingPool> {
    const { name } = pool;
    const planned = plan.strategies[name];
    if (planned === undefined) throw new Error(`the plan has no strategy for pool ${name}`);
    const { now, log, tell } = this.#options;
    const plugin = await loadPlugin(planned.module);
    const old = this.#serving.get(name)?.host;
    const host = new StrategyHost({
      plugin,
      version: planned.description.version,
      options: pool.config.strategy.options,
      pool: name,
      backends: pool.backends,
      now,
      random: this.#random,
      log,
      metrics: this.#metrics,
      onFault: (fault) => this.#metrics.fault(name, plugin.name, fault),
      previous: old?.name === plugin.name ? { name: old.name, snapshot: old.takeSnapshot() } : null,
    });
    const reports = {
      onFailing: (row: number) => tell({ type: "failing", row }),
      onTrialEnded: (row: number, trial: number, ok: boolean) =>
        tell({ type: "trial", row, trial, ok }),
    };
    return new ServingPool(pool, host, backends.transports, reports, now);
  }

  #createHandler(
    { generation, config }: Plan,
    pools: ServingPools,
    accessLog: AccessLog | null,
  ): Handler {
    const { log, setup } = this.#options;
    const unique = [process.pid, setup.seed, generation].map((part) => part.toString(36));
    return createHandler({
      config,
      pools,
      context: this.#context,
      // Traces come before: the access log is told of the request's.
      observer: combineObservers(this.#observer, accessLog?.observer ?? null),
      log,
      requestIdPrefix: `${unique.join("-")}-`,
      instance: setup.instance,
    });
  }

  #commit(generation: number): FromWorker {
    const prepared = this.#prepared;
    if (prepared?.generation !== generation) {
      const path = `worker ${this.#options.setup.index}`;
      const problems = [{ path, message: `has no plan ${generation} prepared` }];
      return { type: "refused", generation, problems, atRunTime: true };
    }
    this.#prepared = null;
    for (const { name, backends } of this.#backends.commit(prepared.backends)) {
      prepared.pools.get(name)?.host.setBackends(backends);
    }
    const before = this.#serving;
    this.#serving = prepared.pools;
    this.#listeners.commit(prepared.listeners, prepared.handler);
    this.#accessLogs.commit(prepared.accessLog);
    const { clientConnections, trustedProxies } = prepared.config;
    this.#clientConnections?.setLimits(clientConnections, createTrust(trustedProxies));
    // Requests that are under way stay with the old instances, which end with the last of them.
    for (const { host } of before.values()) host.dispose();
    return { type: "committed", generation };
  }

  #abort(): void {
    if (this.#prepared === null) return;
    this.#listeners.abort(this.#prepared.listeners);
    this.#accessLogs.abort(this.#prepared.accessLog);
    for (const { host } of this.#prepared.pools.values()) host.dispose();
    this.#prepared = null;
  }

  /** To the instances that serve, and to those that are about to. */
  #healthChanged({ pool, row, from, to }: Extract<ToWorker, { type: "health" }>): void {
    for (const pools of [this.#serving, this.#prepared?.pools]) {
      const serving = pools?.get(pool);
      const backend = serving?.pool.backends.find((each) => rowOf(each) === row);
      if (backend !== undefined) serving?.host.healthChanged(backend, from, to);
    }
  }

  #report(): WorkerReport {
    const pools = [...this.#serving].map(
      ([name, { host }]) => [name, { faults: host.faults, quarantined: host.quarantined }] as const,
    );
    return {
      pendingRequests: this.#listeners.pendingRequests,
      clientConnections: this.#clientConnections?.count() ?? null,
      pools: Object.fromEntries(pools),
    };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
