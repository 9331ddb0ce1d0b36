/** A process that serves traffic. It does what its master says, and ends when its master does. */
import type { Config } from "../config/config.ts";
import { ConfigError, RuntimeError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { Counters } from "../pool/counters.ts";
import { Pool } from "../pool/pool.ts";
import { PoolBackend } from "../pool/backend.ts";
import { openSharedMemory } from "../pool/shared-memory.ts";
import type { AttemptLoopContext } from "../proxy/attempt-loop.ts";
import type { Front } from "../proxy/front.ts";
import { createHandler } from "../proxy/handler.ts";
import type { RequestObserver } from "../proxy/observer.ts";
import { serveFront } from "../proxy/serve-front.ts";
import { ServingPool } from "../proxy/serving-pool.ts";
import { StallWatch } from "../proxy/stall-watch.ts";
import { StrategyHost } from "../strategy/host.ts";
import { loadPlugin } from "../strategy/load.ts";
import { createRandom } from "../strategy/random.ts";
import { BackendTransport } from "../transport/backend-transport.ts";
import type { FromWorker, Plan, ToWorker, WorkerReport, WorkerSetup } from "./messages.ts";
import { bindError } from "./ports.ts";

export interface WorkerOptions {
  readonly setup: WorkerSetup;
  readonly tell: (message: FromWorker) => void;
  readonly observer: RequestObserver | null;
  readonly now: () => number;
  readonly log: Logger;
}

/** One plan with everything that serves it. */
interface Serving {
  readonly plan: Plan;
  readonly pools: ReadonlyMap<string, ServingPool>;
  readonly fronts: readonly Front[];
}

export class Worker {
  readonly #options: WorkerOptions;
  readonly #counters: Counters;
  readonly #random: () => number;
  readonly #context: AttemptLoopContext;
  readonly #stalls: StallWatch;
  #prepared: Serving | null = null;
  #serving: Serving | null = null;

  /** Throws when the shared counters cannot be mapped. */
  constructor(options: WorkerOptions) {
    const { setup, now } = options;
    this.#options = options;
    this.#counters = new Counters(openSharedMemory(setup.counters.handle), setup.counters.shape);
    this.#random = createRandom(setup.seed);
    this.#stalls = new StallWatch(now);
    let attempts = 0;
    this.#context = {
      worker: setup.index,
      now,
      nextAttemptId: () => ++attempts,
    };
  }

  async receive(message: Exclude<ToWorker, { type: "setup" }>): Promise<void> {
    switch (message.type) {
      case "prepare":
        this.#options.tell(await this.#prepare(message.plan));
        break;
      case "commit":
        this.#commit(message.generation);
        this.#options.tell({ type: "committed", generation: message.generation });
        break;
      case "abort":
        if (this.#prepared?.plan.generation === message.generation) {
          close(this.#prepared);
          this.#prepared = null;
        }
        break;
      case "health":
        this.#healthChanged(message);
        break;
      case "report":
        this.#options.tell({ type: "report", id: message.id, report: this.#report() });
        break;
      case "stop":
        await this.#stop(message.graceMs);
        break;
    }
  }

  async #prepare(plan: Plan): Promise<FromWorker> {
    const { generation } = plan;
    const pools = new Map<string, ServingPool>();
    try {
      for (const config of plan.config.pools) {
        pools.set(config.name, await this.#createPool(plan, config.name));
      }
      this.#prepared = { plan, pools, fronts: this.#listen(plan.config, pools) };
      return { type: "prepared", generation };
    } catch (error) {
      for (const pool of pools.values()) pool.close();
      const problems =
        error instanceof ConfigError
          ? error.problems
          : [{ path: `worker ${this.#options.setup.index}`, message: messageOf(error) }];
      return { type: "refused", generation, problems, atRunTime: error instanceof RuntimeError };
    }
  }

  async #createPool(plan: Plan, name: string): Promise<ServingPool> {
    const config = plan.config.pools.find((pool) => pool.name === name);
    const planned = plan.strategies[name];
    if (config === undefined || planned === undefined)
      throw new Error(`the plan has no pool ${name}`);
    const { now, log, setup, tell } = this.#options;
    const rows = plan.rows[name] ?? [];
    const pool = new Pool(config, this.#counters, rows);
    const host = new StrategyHost({
      plugin: await loadPlugin(planned.module),
      version: planned.description.version,
      options: config.strategy.options,
      pool: name,
      backends: pool.backends,
      now,
      random: this.#random,
      log,
      previous: null,
    });
    const transports = new Map(
      pool.backends.map((backend) => [
        backend,
        new BackendTransport({
          address: PoolBackend.configOf(backend).address,
          timeouts: config.timeouts,
          connections: config.connections,
          now,
          onConnectionsChange: (open, idle) => {
            this.#counters.setConnections(PoolBackend.rowOf(backend), setup.index, open, idle);
          },
        }),
      ]),
    );
    const reports = {
      onFailing: (row: number) => tell({ type: "failing", row }),
      onTrialEnded: (row: number, ok: boolean) => tell({ type: "trial", row, ok }),
    };
    return new ServingPool(pool, host, transports, reports, now);
  }

  #listen(config: Config, pools: ReadonlyMap<string, ServingPool>): Front[] {
    const handler = createHandler({
      config,
      pools,
      context: this.#context,
      observer: this.#options.observer,
      log: this.#options.log,
      requestIdPrefix: `${process.pid.toString(36)}-${this.#options.setup.seed.toString(36)}-`,
    });
    const maxBodyBytes = Math.max(...config.pools.map((pool) => pool.body.maxBytes));
    const fronts: Front[] = [];
    for (const { address } of config.listen) {
      // A unix socket cannot be shared as a port can: the first worker has it alone.
      if ("unix" in address && this.#options.setup.index !== 0) continue;
      try {
        fronts.push(serveFront({ address, handler, maxBodyBytes, stalls: this.#stalls }));
      } catch (error) {
        for (const front of fronts) front.kill();
        throw bindError(address, error, "listen");
      }
    }
    return fronts;
  }

  #commit(generation: number): void {
    if (this.#prepared?.plan.generation !== generation) return;
    this.#serving = this.#prepared;
    this.#prepared = null;
  }

  #healthChanged(change: Extract<ToWorker, { type: "health" }>): void {
    const serving = this.#serving?.pools.get(change.pool);
    const backend = serving?.pool.backends.find(({ id }) => id === change.backend);
    if (backend !== undefined) serving?.host.healthChanged(backend, change.from, change.to);
  }

  #report(): WorkerReport {
    const { pools, fronts } = this.#serving ?? {
      pools: new Map<string, ServingPool>(),
      fronts: [],
    };
    return {
      pendingRequests: fronts.reduce((sum, front) => sum + front.pendingRequests, 0),
      pools: Object.fromEntries(
        [...pools].map(([name, { host }]) => [
          name,
          { faults: host.faults, quarantined: host.quarantined },
        ]),
      ),
    };
  }

  /** No new connections at once; what runs may end within the grace. */
  async #stop(graceMs: number): Promise<void> {
    const serving = this.#serving;
    if (serving === null) return;
    for (const front of serving.fronts) front.closeConnections();
    const stopped = Promise.all(serving.fronts.map((front) => front.stop()));
    let timer: ReturnType<typeof setTimeout> | undefined;
    const grace = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        for (const front of serving.fronts) front.kill();
        resolve();
      }, graceMs);
    });
    await Promise.race([stopped, grace]);
    clearTimeout(timer);
    close({ ...serving, fronts: [] });
  }
}

function close(serving: Serving): void {
  for (const front of serving.fronts) front.kill();
  for (const pool of serving.pools.values()) pool.close();
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
