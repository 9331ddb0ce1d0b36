import type { WorkerStatus } from "../admin/facts.ts";
import { RuntimeError } from "../errors.ts";
import { NOTICE_MS, type StopTimes } from "./listeners.ts";
import { LivingWorkers, type LivingWorkersOptions } from "./living-workers.ts";
import type { FromWorker, Plan, ToWorker, WorkerReport } from "./messages.ts";
import { Recycling } from "./recycling.ts";
import { ENDED_EARLY, refusalOf } from "./refusal.ts";
import { Turns } from "./turns.ts";
import type { WorkerHandle } from "./worker-handle.ts";

export interface WorkerGroupOptions extends LivingWorkersOptions {
  readonly count: number;
  /** Puts the plan's files where its workers look for them. May throw. */
  readonly beforePrepare: (plan: Plan) => void;
  /**
   * A worker is gone: what it has left in its column must be returned before another takes that.
   * Returns what it died of, as far as that is known.
   */
  readonly onExit: (worker: WorkerHandle) => string | null;
  /** For what runs in a worker that is recycled. */
  readonly graceMs: () => number;
  readonly now: () => number;
}

/** A worker that served for this long and dies is replaced at once. */
const STABLE_MS = 10_000;
/** Waits before the replacements of one that keeps dying. */
const BACKOFF_MS = [0, 100, 500, 1000, 2000, 5000];
interface Place {
  readonly index: number;
  worker: WorkerHandle;
  /** While the worker is recycled, the one that is being brought up in its stead. */
  successor: WorkerHandle | null;
  /** It has committed the plan that is in force. */
  serving: boolean;
  startedAtMs: number;
  restarts: number;
  /** Deaths and failures to start in a row, each soon after the start. */
  quickDeaths: number;
}

/** The workers, each in its place; whoever dies is replaced. */
export class WorkerGroup {
  readonly #options: WorkerGroupOptions;
  readonly #living: LivingWorkers;
  readonly #recycling: Recycling<Place>;
  /** A plan and the change of a worker wait for each other. */
  readonly #turns = new Turns();
  #places: Place[] = [];
  /** The newest that was committed; null before the first. */
  #inForce: Plan | null = null;
  #applying = false;
  /** What the last worker that ended died of, if that is known. */
  #lastEnd: string | null = null;
  #stopping = false;

  constructor(options: WorkerGroupOptions) {
    this.#options = options;
    this.#living = new LivingWorkers(options, (worker, reason) => this.#ended(worker, reason));
    this.#recycling = new Recycling({
      places: () => this.#places,
      replace: (place) => this.#recycle(place),
      log: options.log,
    });
  }

  /** Workers that have committed the plan in force and are alive. */
  get serving(): number {
    return this.#places.filter(({ serving }) => serving).length;
  }

  /** All processes, also those that come up or leave. */
  get living(): readonly WorkerHandle[] {
    return this.#living.all;
  }

  /** How often a worker was replaced because it had ended. */
  get restarts(): number {
    return this.#places.reduce((sum, { restarts }) => sum + restarts, 0);
  }

  /**
   * Brings a plan into force, in two phases; the first one starts the workers. One that refuses it,
   * or dies of it, stops it everywhere, and the plan before stays in force. One plan at a time.
   *
   * Throws ConfigError or RuntimeError with the reason of the first that refused. After a first
   * plan that failed, the caller ends the group.
   */
  async apply(plan: Plan): Promise<void> {
    if (this.#applying) throw new Error("another plan is being applied");
    this.#applying = true;
    try {
      await this.#turns.take(() => this.#applyAlone(plan));
    } finally {
      this.#applying = false;
    }
    this.#recycling.recycleFull(plan);
  }

  /**
   * Replaces the workers, one after the other: the new one serves before the old one stops accepting, and that one
   * finishes what it has within the grace. Who asks while this is under way gets its outcome.
   *
   * Throws RuntimeError when a new one cannot serve: its predecessor and those that are left go on.
   */
  recycle(): Promise<void> {
    return this.#recycling.recycle();
  }

  async #applyAlone(plan: Plan): Promise<void> {
    if (this.#stopping) throw new RuntimeError("the workers are being stopped");
    this.#options.beforePrepare(plan);
    if (this.#inForce === null) this.#startAll();
    // A worker that is being brought up gets what is in force by then.
    const workers = this.#places
      .filter(({ serving }) => serving || this.#inForce === null)
      .map(({ worker }) => worker);
    this.#lastEnd = null;
    const answers = await this.#prepareAll(workers, plan);
    const refusal = refusalOf(answers, this.#lastEnd);
    if (refusal !== null) {
      const { generation } = plan;
      for (const worker of workers) worker.tell({ type: "abort", generation });
      throw refusal;
    }
    // From here on whoever comes up, or comes back, prepares this one.
    this.#inForce = plan;
    const prepared = this.#places.filter(({ worker }) => workers.includes(worker));
    const late = this.#places.filter((place) => place.serving && !prepared.includes(place));
    await Promise.all([
      ...prepared.map(async (place) => {
        const { worker } = place;
        if (await this.#commit(worker, plan)) place.serving = this.#inForce === plan;
      }),
      ...late.map((place) => this.#bringUp(place)),
    ]);
  }

  /** While workers serve, one tries it alone: what takes its process with it must not take them all. */
  async #prepareAll(
    workers: readonly WorkerHandle[],
    plan: Plan,
  ): Promise<readonly (FromWorker | null)[]> {
    const first = this.#inForce === null ? workers.length : 1;
    const prepare = (some: readonly WorkerHandle[]) =>
      Promise.all(some.map((worker) => worker.prepare(plan, false)));
    const answers = await prepare(workers.slice(0, first));
    if (refusalOf(answers) !== null) return answers;
    return [...answers, ...(await prepare(workers.slice(first)))];
  }

  tell(message: Extract<ToWorker, { type: "health" | "seal" | "reopen" }>): void {
    this.#living.tell(message);
  }

  reports(): Promise<(WorkerReport | null)[]> {
    return this.#living.reports();
  }

  async status(): Promise<WorkerStatus[]> {
    const leaving = this.#living.all.filter((worker) => !this.#hasPlace(worker));
    const all = [...this.#places.map(({ worker }) => worker), ...leaving];
    return Promise.all(
      all.map(async (worker) => {
        const report = await worker.report();
        return {
          id: worker.index,
          pid: worker.pid,
          state: this.#stateOf(worker),
          startedAt: worker.startedAt.toISOString(),
          restarts: this.#places[worker.index]?.restarts ?? 0,
          modules: worker.modules.count,
          pendingRequests: report?.pendingRequests ?? null,
          clientConnections: report?.clientConnections ?? null,
        };
      }),
    );
  }

  /** Every answer ends its connection; after the delay no new ones; then what still runs gets the grace. */
  async stop(times: StopTimes): Promise<void> {
    this.#stopping = true;
    await this.#living.stop(this.#living.all, times);
  }

  kill(): void {
    this.#stopping = true;
    this.#living.kill();
  }

  async #recycle(place: Place): Promise<void> {
    // There is memory for one more than there are places.
    const leaving = this.#living.all.filter((worker) => !this.#hasPlace(worker));
    await Promise.all(leaving.map(({ exited }) => exited));
    await this.#turns.take(() => this.#succeed(place));
  }

  async #succeed(place: Place): Promise<void> {
    if (this.#stopping) throw new RuntimeError("the workers are being stopped");
    // It is being replaced as it is.
    if (!place.serving) return;
    const { worker: old, index } = place;
    const { graceMs, log, now } = this.#options;
    let successor: WorkerHandle;
    try {
      successor = this.#living.spawn(index, true);
    } catch (error) {
      throw new RuntimeError(`no worker can be started: ${messageOf(error)}`, { cause: error });
    }
    place.successor = successor;
    const refusal = await this.#raise(successor);
    place.successor = null;
    if (refusal !== null) {
      if (!old.alive) this.#replaceLater(place);
      throw new RuntimeError(
        `worker ${index} was not recycled, its successor cannot serve: ${refusal.message}`,
        { cause: refusal },
      );
    }
    place.worker = successor;
    place.serving = true;
    place.startedAtMs = now();
    log.info("worker recycled", { worker: index, pid: successor.pid, before: old.pid });
    void this.#living.stop([old], { delayMs: NOTICE_MS, graceMs: graceMs() });
    // A worker that can still be connected to must have the plan that is in force.
    await old.closed;
  }

  #hasPlace(worker: WorkerHandle): boolean {
    return this.#places.some((place) => place.worker === worker);
  }

  #stateOf(worker: WorkerHandle): WorkerStatus["state"] {
    const place = this.#places.find((each) => each.worker === worker || each.successor === worker);
    if (this.#stopping || place === undefined) return "stopping";
    return place.worker === worker && place.serving ? "serving" : "starting";
  }

  #startAll(): void {
    for (let index = this.#places.length; index < this.#options.count; index++) {
      let worker: WorkerHandle;
      try {
        worker = this.#living.spawn(index, false);
      } catch (error) {
        throw new RuntimeError(`no worker can be started: ${messageOf(error)}`, { cause: error });
      }
      const startedAtMs = this.#options.now();
      const fresh = { successor: null, serving: false, restarts: 0, quickDeaths: 0 };
      this.#places.push({ index, worker, startedAtMs, ...fresh });
    }
  }

  #ended(worker: WorkerHandle, reason: string): void {
    const { onExit, log, now } = this.#options;
    this.#lastEnd = onExit(worker);
    const place = this.#places.find((each) => each.worker === worker);
    // It was leaving, or a successor that did not come so far.
    if (place === undefined) return;
    place.serving = false;
    if (this.#stopping || this.#inForce === null) return;
    const quick = now() - place.startedAtMs < STABLE_MS;
    place.quickDeaths = quick ? place.quickDeaths + 1 : 0;
    const fields = { worker: worker.index, pid: worker.pid, reason, waitMs: waitBefore(place) };
    log.error("worker ended, replacing it", fields);
    if (place.successor === null) this.#replaceLater(place);
    else place.restarts++;
  }

  #replaceLater(place: Place): void {
    this.#options.schedule(waitBefore(place), () => this.#replace(place));
  }

  #replace(place: Place): void {
    if (this.#stopping) return;
    const { log, now } = this.#options;
    place.startedAtMs = now();
    try {
      place.worker = this.#living.spawn(place.index, false);
    } catch (error) {
      place.quickDeaths++;
      const fields = { worker: place.index, reason: messageOf(error), waitMs: waitBefore(place) };
      log.error("no worker can be started, trying again", fields);
      this.#replaceLater(place);
      return;
    }
    place.restarts++;
    void this.#bringUp(place).then(() => {
      if (!place.serving) return;
      log.info("worker replaced", { worker: place.index, pid: place.worker.pid });
    });
  }

  async #bringUp(place: Place): Promise<void> {
    const { worker } = place;
    place.serving = false;
    const refusal = await this.#raise(worker);
    // Its end brings the next replacement.
    place.serving = refusal === null && worker.alive;
  }

  /** Until the worker has what is in force, which may change meanwhile. One that cannot is killed. */
  async #raise(worker: WorkerHandle): Promise<Error | null> {
    for (let plan = this.#inForce; plan !== null;) {
      const refusal = await this.#prepare(worker, plan);
      if (refusal !== null) {
        if (this.#stopping || !worker.alive) return refusal;
        const fields = { worker: worker.index, pid: worker.pid, reason: refusal.message };
        this.#options.log.error("the new worker cannot serve", fields);
        worker.kill();
        return refusal;
      }
      if (!(await this.#commit(worker, plan))) return new RuntimeError(ENDED_EARLY);
      if (plan === this.#inForce) return null;
      plan = this.#inForce;
    }
    return new Error("no plan is in force");
  }

  async #prepare(worker: WorkerHandle, plan: Plan): Promise<Error | null> {
    try {
      this.#options.beforePrepare(plan);
      return refusalOf([await worker.prepare(plan, true)]);
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  /** Whether the worker lives and has it now. */
  async #commit(worker: WorkerHandle, plan: Plan): Promise<boolean> {
    const answer = await worker.commit(plan.generation);
    // A worker that is being stopped has given it up.
    if (answer?.type === "refused" && !this.#stopping) worker.kill();
    return answer?.type === "committed" && worker.alive;
  }
}

function waitBefore({ quickDeaths }: Place): number {
  return BACKOFF_MS[Math.min(quickDeaths, BACKOFF_MS.length) - 1] ?? 0;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
