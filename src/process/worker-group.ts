import type { WorkerStatus } from "../admin/facts.ts";
import { RuntimeError } from "../errors.ts";
import { NOTICE_MS, type StopTimes } from "./listeners.ts";
import { LivingWorkers, type LivingWorkersOptions } from "./living-workers.ts";
import type { Plan, ToWorker, WorkerReport } from "./messages.ts";
import { createPlace, type Place } from "./place.ts";
import { PlanInForce } from "./plan-in-force.ts";
import { Recycling } from "./recycling.ts";
import { Replacements } from "./replacements.ts";
import { type BegunRollout, Rollout } from "./rollout.ts";
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
  readonly onExit: (worker: WorkerHandle, reason: string) => string | null;
  /** The worker in this column holds much that the plan, which is in force, has no use for. */
  readonly outgrown: (column: number, plan: Plan) => boolean;
  /** For what runs in a worker that is recycled. */
  readonly graceMs: () => number;
}

/** For a worker that others wait for. */
const LONGEST_WAIT_MS = 10_000;

/** The workers, each in its place; whoever dies is replaced. */
export class WorkerGroup {
  readonly #options: WorkerGroupOptions;
  readonly #living: LivingWorkers;
  readonly #recycling: Recycling<Place>;
  /** A plan and the change of a worker wait for each other. */
  readonly #turns = new Turns();
  /** What workers died of, as far as that is known. */
  readonly #causes = new WeakMap<WorkerHandle, string>();
  readonly #inForce: PlanInForce;
  readonly #replacements: Replacements;
  #places: Place[] = [];
  #applying = false;
  #stopping = false;

  constructor(options: WorkerGroupOptions) {
    this.#options = options;
    const { beforePrepare, now, schedule, log } = options;
    const isStopping = (): boolean => this.#stopping;
    this.#living = new LivingWorkers(options, (worker, reason) => this.#ended(worker, reason));
    this.#inForce = new PlanInForce({
      beforePrepare,
      causeOf: (worker) => this.#causeOf(worker),
      isStopping,
      log,
    });
    this.#replacements = new Replacements({
      spawn: (index) => this.#living.spawn(index, false),
      bringUp: (place) => this.#bringUp(place),
      isStopping,
      now,
      schedule,
      log,
    });
    this.#recycling = new Recycling({
      places: () => this.#places,
      outgrown: ({ worker }, plan) => options.outgrown(worker.column, plan),
      replace: (place) => this.#recycle(place),
      log,
    });
  }

  /** Workers that have committed the plan in force and are alive. */
  get serving(): number {
    return this.servers.length;
  }

  /** Those that `serving` counts. */
  get servers(): readonly WorkerHandle[] {
    return this.#places.filter(({ serving }) => serving).map(workerOf);
  }

  /** All processes, also those that come up or stop. */
  get living(): readonly WorkerHandle[] {
    return this.#living.all;
  }

  /** How often a worker was replaced because it had ended. */
  get restarts(): number {
    return this.#places.reduce((sum, { restarts }) => sum + restarts, 0);
  }

  /**
   * Brings a plan into force, in two phases; the first one starts the workers. One that refuses it,
   * or dies of it, stops it everywhere, and the plan before stays in force. Once a worker has
   * committed it, it is in force, and who dies of it then is replaced. One plan at a time.
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

  /** Replaces this one as `recycle` does, if it serves in a place; whether it does. */
  recycleOne(worker: { readonly pid: number }): boolean {
    const place = this.#places.find((each) => each.worker.pid === worker.pid);
    if (!place?.serving) return false;
    this.#recycling.recycleOne(place);
    return true;
  }

  async #applyAlone(plan: Plan): Promise<void> {
    if (this.#stopping) throw new RuntimeError("the workers are being stopped");
    this.#options.beforePrepare(plan);
    const first = this.#inForce.current === null;
    if (first) this.#startAll();
    // One that comes up with what is in force can try the new plan, and nobody waits for it meanwhile.
    else if (this.serving === 0) await this.#wait(this.#places.map(({ coming }) => coming));
    const rollout = new Rollout(plan, {
      workers: () => this.#places.filter(({ serving }) => serving || first).map(workerOf),
      first,
      causeOf: (worker) => this.#causeOf(worker),
      isStopping: () => this.#stopping,
      log: this.#options.log,
    });
    const begun = (await rollout.begin()) ?? (await this.#beginInNewcomer(plan));
    // From here on whoever comes up, or comes back, prepares this one.
    this.#inForce.current = plan;
    const has = new Set([begun.committed, ...begun.waiting]);
    const late = this.#places.filter(({ serving, worker }) => serving && !has.has(worker));
    const place = this.#places.find(({ worker }) => worker === begun.committed);
    if (place !== undefined) place.serving = begun.committed.alive;
    for (const each of this.#places) if (!each.worker.alive) this.#replacements.anew(each);
    // One after the other: what the old strategies do when they are disposed of may take a worker.
    for (const worker of begun.waiting) await this.#wait([this.#commitIn(worker, plan)]);
    for (const each of late) await this.#wait([this.#bringUp(each)]);
  }

  /** Not for ever: one that is stopped gets there when it goes on. */
  async #wait(works: readonly Promise<unknown>[]): Promise<void> {
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const cancel = this.#options.schedule(LONGEST_WAIT_MS, resolve);
    await Promise.race([Promise.all(works), over]);
    cancel();
  }

  async #commitIn(worker: WorkerHandle, plan: Plan): Promise<void> {
    const committed = await this.#inForce.commit(worker, plan);
    const place = this.#places.find((each) => each.worker === worker);
    if (place !== undefined) place.serving = committed;
  }

  /** Nobody serves who could try the plan: a new worker does, and takes a place with it. */
  async #beginInNewcomer(plan: Plan): Promise<BegunRollout> {
    const place = this.#places.find(({ worker }) => !worker.alive) ?? this.#places.at(-1);
    if (place === undefined) throw new Error("there are no places");
    // In the place of one that is dead there is room, however long others take to stop: nobody serves.
    if (place.worker.alive) await this.#room();
    if (this.#stopping) throw new RuntimeError("the workers are being stopped");
    const newcomer = this.#spawn(place.index, true);
    place.successor = newcomer;
    const refusal = await this.#inForce.bring(newcomer, plan, false);
    if (refusal !== null) {
      newcomer.end("could not serve");
      // Until then it takes the room of the one that comes next.
      await newcomer.exited;
    }
    place.successor = null;
    if (refusal !== null) {
      if (!place.worker.alive) this.#replacements.later(place);
      throw refusal;
    }
    void this.#install(place, newcomer);
    return { committed: newcomer, waiting: [] };
  }

  tell(message: Extract<ToWorker, { type: "health" | "seal" | "reopen" }>): void {
    this.#living.tell(message);
  }

  reports(): Promise<(WorkerReport | null)[]> {
    return this.#living.reports();
  }

  async status(): Promise<WorkerStatus[]> {
    const others = this.#living.all.filter((worker) => !this.#hasPlace(worker));
    const all = [...this.#places.map(workerOf), ...others];
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
    await this.#room();
    await this.#turns.take(() => this.#succeed(place));
  }

  /** There is memory for one worker more than there are places. */
  async #room(): Promise<void> {
    for (;;) {
      const coming = new Set(this.#places.map(({ successor }) => successor));
      const stopping = this.#living.all.filter(
        (worker) => !this.#hasPlace(worker) && !coming.has(worker),
      );
      if (stopping.length === 0) return;
      await Promise.all(stopping.map(({ exited }) => exited));
    }
  }

  async #succeed(place: Place): Promise<void> {
    await this.#room();
    if (this.#stopping) throw new RuntimeError("the workers are being stopped");
    // It is being replaced as it is.
    if (!place.serving) return;
    const { worker: old, index } = place;
    const successor = this.#spawn(index, true);
    place.successor = successor;
    const refusal = await this.#inForce.raise(successor);
    place.successor = null;
    if (refusal !== null) {
      if (!old.alive) this.#replacements.later(place);
      throw new RuntimeError(
        `worker ${index} was not recycled, its successor cannot serve: ${refusal.message}`,
        { cause: refusal },
      );
    }
    const isReplacement = old.isToEnd || !old.alive;
    this.#options.log.info(isReplacement ? "worker replaced" : "worker recycled", {
      worker: index,
      pid: successor.pid,
      before: old.pid,
    });
    await this.#install(place, successor);
  }

  /**
   * Until nobody can connect to the worker before it, which would go on with the plan it has. Not for ever: one that
   * is stopped closes when it goes on.
   */
  async #install(place: Place, successor: WorkerHandle): Promise<void> {
    const { worker: old, serving } = place;
    // Ended meanwhile: this is its replacement.
    if (old.isToEnd || !old.alive) place.restarts++;
    place.worker = successor;
    place.serving = successor.alive;
    place.startedAtMs = this.#options.now();
    if (serving) {
      void this.#living.stop([old], { delayMs: NOTICE_MS, graceMs: this.#options.graceMs() });
    } else if (old.alive) {
      old.end("was replaced before it served");
    }
    await this.#wait([old.closed]);
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
      const worker = this.#spawn(index, false);
      this.#places.push(createPlace(index, worker, this.#options.now()));
    }
  }

  /** Throws RuntimeError when the machine has no room for a process. */
  #spawn(index: number, succeeds: boolean): WorkerHandle {
    try {
      return this.#living.spawn(index, succeeds);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new RuntimeError(`no worker can be started: ${reason}`, { cause: error });
    }
  }

  #causeOf(worker: WorkerHandle): string | null {
    return this.#causes.get(worker) ?? null;
  }

  #ended(worker: WorkerHandle, reason: string): void {
    const where = this.#options.onExit(worker, reason);
    // Anybody may have sent a signal; code of ours does not exit by itself.
    const how = reason.startsWith("signal") ? null : `it ended with ${reason}`;
    const why = worker.endedFor === null ? how : `it ${worker.endedFor}`;
    const cause = [why, where].filter((each) => each !== null).join(", ");
    if (cause !== "") this.#causes.set(worker, cause);
    const place = this.#places.find((each) => each.worker === worker);
    // It was stopping, or a successor that did not come so far.
    if (place === undefined) return;
    place.serving = false;
    if (!this.#stopping && this.#inForce.current !== null) this.#replacements.ended(place, reason);
  }

  /** Whether it serves then. */
  async #bringUp(place: Place): Promise<boolean> {
    const { worker } = place;
    place.serving = false;
    const refusal = await this.#inForce.raise(worker);
    // Its end brings the next replacement, if it has not been replaced already.
    if (place.worker !== worker) return false;
    place.serving = refusal === null && worker.alive;
    return place.serving;
  }
}

function workerOf({ worker }: Place): WorkerHandle {
  return worker;
}
