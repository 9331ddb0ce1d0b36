/** A process that serves traffic. It does what its master says, and ends when its master does. */
import { ConfigError, RuntimeError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { rowOf } from "../pool/backend.ts";
import type { Pool } from "../pool/pool.ts";
import { openSharedMemory } from "../pool/shared-memory.ts";
import { Affinity } from "../proxy/affinity.ts";
import type { AttemptLoopContext } from "../proxy/attempt-loop.ts";
import type { Handler } from "../proxy/front.ts";
import { createTrust } from "../proxy/client-address.ts";
import { createHandler } from "../proxy/handler.ts";
import { HeaderReads } from "../proxy/header-reads.ts";
import { ServingPool } from "../proxy/serving-pool.ts";
import { StallWatch } from "../proxy/stall-watch.ts";
import type { StrategyHost } from "../strategy/host.ts";
import { createRandom } from "../strategy/random.ts";
import { openSocketCalls } from "../transport/socket-calls.ts";
import type { AccessLog } from "../telemetry/access-log/access-log.ts";
import { combineObservers } from "../telemetry/combined-observer.ts";
import { WorkerMetrics } from "../telemetry/metrics/worker-metrics.ts";
import type { Tracing } from "../telemetry/sdk.ts";
import { AccessLogs } from "./access-logs.ts";
import { ClientConnections } from "./client-connections.ts";
import { DecisionLog } from "./decision-log.ts";
import { DescriptorPressure } from "./descriptor-pressure.ts";
import { readDescriptors, watchIntervalMs } from "./descriptors.ts";
import { Listeners, type PreparedListeners, type StopTimes } from "./listeners.ts";
import { LiveBackends, type PreparedBackends } from "./live-backends.ts";
import type {
  FromWorker,
  Plan,
  ServedConfig,
  StrategyConditions,
  ToWorker,
  WorkerReport,
  WorkerSetup,
} from "./messages.ts";
import { tellAnswer } from "./questions.ts";
import { FactFeeds } from "./shadow/fact-feeds.ts";
import { StrategyHosts } from "./strategy-hosts.ts";
import { BEAT_MS } from "./watchdog.ts";
import { layOutWorkerMemory } from "./worker-memory.ts";

export interface WorkerOptions {
  readonly setup: WorkerSetup;
  readonly tell: (message: FromWorker) => void;
  /** Beside the metrics, which are always counted; null: nobody. */
  readonly tracing: Tracing | null;
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

/** Takes messages one at a time: the next one when `receive` has resolved. Only `report` and `ping` need not wait. */
export class Worker {
  readonly #options: WorkerOptions;
  readonly #context: AttemptLoopContext;
  readonly #metrics: WorkerMetrics;
  readonly #backends: LiveBackends;
  readonly #listeners: Listeners;
  readonly #accessLogs: AccessLogs;
  /** Null: this platform does not tell about connections. */
  readonly #clientConnections: ClientConnections | null = null;
  readonly #hosts: StrategyHosts;
  readonly #decisions: DecisionLog;
  readonly #feeds: FactFeeds;
  readonly #watch: ReturnType<typeof setInterval> | undefined;
  #prepared: Prepared | null = null;
  #serving: ServingPools = new Map();
  #stopping = false;

  /** Throws when the shared counters cannot be mapped. */
  constructor(options: WorkerOptions) {
    const { setup, now, log, knownMethods } = options;
    this.#options = options;
    const { index, column, seed } = setup;
    this.#accessLogs = new AccessLogs({
      now,
      log,
      onDropped: () => this.#metrics.lineDropped(),
    });
    const memory = openSharedMemory(setup.counters.handle);
    const layout = layOutWorkerMemory(setup.counters.shape);
    const counters = layout.counters(memory);
    const pulse = layout.pulse(memory, column);
    pulse.beat();
    // To the very end: telemetry may take a while to send its last, and the master looks on.
    setInterval(() => pulse.beat(), BEAT_MS).unref();
    this.#metrics = new WorkerMetrics({
      words: layout.metrics(memory, column),
      knownMethods,
      now,
      log,
    });
    this.#hosts = new StrategyHosts({
      pulse,
      metrics: this.#metrics,
      now,
      random: createRandom(seed),
      log,
    });
    this.#feeds = new FactFeeds({ column, now, log });
    const socketCalls = openSocketCalls();
    const descriptors = readDescriptors();
    const pressure = new DescriptorPressure({
      descriptors,
      worker: index,
      closeIdleBackends: () => this.#backends.closeIdle(),
      closeIdleClients: () => this.#listeners.closeUnused(),
      now,
      log,
    });
    this.#backends = new LiveBackends({
      counters,
      worker: column,
      socketCalls,
      onOpening: () => pressure.opened(),
      now,
    });
    const stalls = new StallWatch(now);
    const listeners = new Listeners({
      worker: index,
      succeeds: setup.succeeds,
      stalls,
      pressure,
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
        column,
        isListener: (local) => listeners.owns(local),
        underWay: () => listeners.underWay(),
        now,
        log,
      });
    }
    this.#watch = setInterval(() => {
      pressure.tick();
      this.#clientConnections?.tick();
    }, watchIntervalMs(descriptors.limit));
    this.#decisions = new DecisionLog({ worker: index, wallClock: Date.now });
    setInterval(() => this.#decisions.tick(), 1000).unref();
    let attempts = 0;
    this.#context = {
      worker: column,
      now,
      nextAttemptId: () => ++attempts,
      headerReads: new HeaderReads(),
    };
  }

  async receive(message: Exclude<ToWorker, { type: "setup" | "stop" }>): Promise<void> {
    const { tell } = this.#options;
    switch (message.type) {
      case "prepare":
        tell(await this.#prepare(message));
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
      case "seal":
        this.#hosts.seal(message.strategy, [
          ...hostsOf(this.#serving),
          ...hostsOf(this.#prepared?.pools ?? new Map()),
        ]);
        break;
      case "report":
        tell({ type: "report", id: message.id, report: this.#report() });
        break;
      case "ask":
        tellAnswer(message, {
          decisions: this.#decisions,
          serving: this.#serving,
          ...this.#options,
        });
        break;
      case "ping":
        tell({ type: "pong", id: message.id });
        break;
      case "reopen":
        await this.#accessLogs.reopen(this.#prepared?.accessLog ?? null);
        break;
    }
  }

  /** Meanwhile it receives what its master says. */
  async stop(times: StopTimes): Promise<void> {
    this.#stopping = true;
    this.#abort();
    const { tell, tracing } = this.#options;
    // While clients hear of it: the notice is part of the time that spans have.
    tracing?.flush();
    const noticeMs = await this.#listeners.stop(times, () => tell({ type: "closed" }));
    // The two of them wait for the last requests, and together no longer than the one that waits longer.
    await Promise.all([this.#accessLogs.close(), tracing?.shutdown(noticeMs)]);
    clearInterval(this.#watch);
    this.#backends.close();
    for (const { host } of this.#serving.values()) host.dispose();
  }

  async #prepare({
    plan,
    inForce,
    conditions,
  }: Extract<ToWorker, { type: "prepare" }>): Promise<FromWorker> {
    const { generation, config } = plan;
    this.#abort();
    const backends = this.#backends.prepare(config.pools, plan.rows);
    const pools = new Map<string, ServingPool>();
    let accessLog: AccessLog | null = null;
    try {
      for (const pool of backends.pools.values()) {
        if (pools.size > 0) this.#options.tell({ type: "preparing", generation });
        this.#refuseIfStopping();
        pools.set(pool.name, await this.#createPool(plan, conditions, pool, backends));
      }
      accessLog = await this.#accessLogs.prepare(config.accessLog, inForce);
      const handler = this.#createHandler(plan, pools, accessLog);
      this.#refuseIfStopping();
      const listeners = await this.#listeners.prepare(config.listen);
      if (this.#stopping) this.#listeners.abort(listeners);
      this.#refuseIfStopping();
      this.#prepared = { generation, config, pools, backends, listeners, accessLog, handler };
      return { type: "prepared", generation };
    } catch (error) {
      disposeOf(pools, this.#serving);
      this.#accessLogs.abort(accessLog);
      const problems =
        error instanceof ConfigError
          ? error.problems
          : [{ path: `worker ${this.#options.setup.index}`, message: messageOf(error) }];
      return { type: "refused", generation, problems, atRunTime: error instanceof RuntimeError };
    }
  }

  /** A listener that is opened now would close without any notice to those that connect to it. */
  #refuseIfStopping(): void {
    if (this.#stopping) throw new RuntimeError("the worker is being stopped");
  }

  async #createPool(
    plan: Plan,
    conditions: StrategyConditions,
    pool: Pool,
    backends: PreparedBackends,
  ): Promise<ServingPool> {
    const { now, tell } = this.#options;
    const old = this.#serving.get(pool.name);
    const host = await this.#hosts.make(pool, plan, conditions, old?.host ?? null);
    const reports = {
      onFailing: (row: number) => tell({ type: "failing", row }),
      onTrialEnded: (row: number, trial: number, ok: boolean) =>
        tell({ type: "trial", row, trial, ok }),
    };
    const decisions = this.#decisions.of(pool.name);
    const shadow =
      plan.shadow === undefined || pool.config.shadow.length === 0
        ? null
        : this.#feeds.feedOf(pool.name, plan.shadow);
    return new ServingPool(pool, host, backends.transports, reports, now, old, {
      affinity: affinityOf(pool),
      decisions,
      shadow,
    });
  }

  #createHandler(
    { generation, config }: Plan,
    pools: ServingPools,
    accessLog: AccessLog | null,
  ): Handler {
    const { log, setup, tracing } = this.#options;
    const unique = [process.pid, setup.seed, generation].map((part) => part.toString(36));
    return createHandler({
      config,
      pools,
      context: this.#context,
      // Traces come before: the access log is told of the request's.
      observer: combineObservers(
        tracing?.createObserver(config.accessLog?.redactQuery ?? []) ?? null,
        this.#metrics.observer,
        accessLog?.observer ?? null,
      ),
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
    const before = this.#serving;
    const changed = new Set(this.#backends.commit(prepared.backends).map(({ name }) => name));
    for (const [name, { host, pool }] of prepared.pools) {
      const old = before.get(name);
      // A new instance was told when it was made.
      const others = old?.host === host && !sameObjects(old.pool.backends, pool.backends);
      if (others || changed.has(name)) host.setBackends(pool.backends);
    }
    this.#serving = prepared.pools;
    this.#decisions.keep(new Set(prepared.pools.keys()));
    this.#decisions.redactQuery = prepared.config.accessLog?.redactQuery ?? [];
    this.#listeners.commit(prepared.listeners, prepared.handler);
    this.#accessLogs.commit(prepared.accessLog);
    const { clientConnections, trustedProxies } = prepared.config;
    this.#clientConnections?.setLimits(clientConnections, createTrust(trustedProxies));
    // Requests that are under way stay with the old instances, which end with the last of them.
    disposeOf(before, prepared.pools);
    return { type: "committed", generation };
  }

  #abort(): void {
    if (this.#prepared === null) return;
    this.#listeners.abort(this.#prepared.listeners);
    this.#accessLogs.abort(this.#prepared.accessLog);
    disposeOf(this.#prepared.pools, this.#serving);
    this.#prepared = null;
  }

  /** To the instances that serve, and to those that are about to. */
  #healthChanged({ pool, row, from, to }: Extract<ToWorker, { type: "health" }>): void {
    const hosts = new Set<StrategyHost>();
    for (const pools of [this.#serving, this.#prepared?.pools]) {
      const serving = pools?.get(pool);
      if (serving === undefined || hosts.has(serving.host)) continue;
      hosts.add(serving.host);
      const backend = serving.pool.backends.find((each) => rowOf(each) === row);
      if (backend !== undefined) serving.host.healthChanged(backend, from, to);
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

/** Its secret is in the plan, which is the same for all workers. */
function affinityOf(pool: Pool): Affinity | null {
  const { affinity } = pool.config;
  if (affinity === null) return null;
  if (affinity.secret === null) throw new Error(`the plan has no secret for pool ${pool.name}`);
  return new Affinity(pool, affinity, affinity.secret, Date.now);
}

function sameObjects(one: readonly object[], two: readonly object[]): boolean {
  return one.length === two.length && one.every((each, index) => each === two[index]);
}

function hostsOf(pools: ServingPools): StrategyHost[] {
  return [...pools.values()].map(({ host }) => host);
}

/** Not of those that others have, too. */
function disposeOf(pools: ServingPools, others: ServingPools): void {
  const kept = new Set([...others.values()].map(({ host }) => host));
  for (const { host } of pools.values()) if (!kept.has(host)) host.dispose();
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
