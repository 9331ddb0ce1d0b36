import type { WorkerStatus } from "../admin/server.ts";
import { ConfigError, RuntimeError } from "../errors.ts";
import type { Schedule } from "../health/prober.ts";
import type { Logger } from "../log.ts";
import type { FromWorker, Plan, ToWorker, WorkerReport, WorkerSetup } from "./messages.ts";
import { WorkerHandle } from "./worker-handle.ts";
import type { SpawnWorker } from "./worker-process.ts";

export interface WorkerGroupOptions {
  readonly count: number;
  readonly counters: WorkerSetup["counters"];
  readonly version: string;
  readonly instance: string;
  readonly telemetry: WorkerSetup["telemetry"];
  readonly spawn: SpawnWorker;
  /** Puts the plan's files where its workers look for them. May throw. */
  readonly beforePrepare: (plan: Plan) => void;
  readonly onMessage: (message: FromWorker) => void;
  /** A worker is gone: its share must be returned before its place is taken again. */
  readonly onExit: (index: number) => void;
  readonly random: () => number;
  readonly now: () => number;
  readonly schedule: Schedule;
  readonly log: Logger;
}

/** A worker that served for this long and dies is replaced at once. */
const STABLE_MS = 10_000;
/** Waits before the replacements of one that keeps dying. */
const BACKOFF_MS = [0, 100, 500, 1000, 2000, 5000];
/** Beyond the grace, for a worker to end by itself: telemetry may still be sending. */
const STOP_MARGIN_MS = 5000;

interface Place {
  readonly index: number;
  worker: WorkerHandle;
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
  #places: Place[] = [];
  /** The newest that was committed; null before the first. */
  #inForce: Plan | null = null;
  #applying = false;
  #stopping = false;

  constructor(options: WorkerGroupOptions) {
    this.#options = options;
  }

  /** Workers that have committed the plan in force and are alive. */
  get serving(): number {
    return this.#places.filter(({ serving }) => serving).length;
  }

  /** How often a worker was replaced. */
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
      await this.#applyAlone(plan);
    } finally {
      this.#applying = false;
    }
  }

  async #applyAlone(plan: Plan): Promise<void> {
    if (this.#stopping) throw new RuntimeError("the workers are being stopped");
    this.#options.beforePrepare(plan);
    if (this.#inForce === null) this.#startAll();
    // A worker that is being brought up gets what is in force by then.
    const workers = this.#places
      .filter(({ serving }) => serving || this.#inForce === null)
      .map(({ worker }) => worker);
    const answers = await Promise.all(workers.map((worker) => worker.prepare(plan)));
    const refusal = refusalOf(answers);
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
      ...prepared.map((place) => this.#commit(place, plan)),
      ...late.map((place) => this.#bringUp(place)),
    ]);
  }

  tell(message: Extract<ToWorker, { type: "health" | "reopen" }>): void {
    for (const { worker } of this.#places) worker.tell(message);
  }

  reports(): Promise<(WorkerReport | null)[]> {
    return Promise.all(this.#places.map(({ worker }) => worker.report()));
  }

  async status(): Promise<WorkerStatus[]> {
    return Promise.all(
      this.#places.map(async ({ worker, restarts }) => {
        const report = await worker.report();
        return {
          id: worker.index,
          pid: worker.pid,
          startedAt: worker.startedAt.toISOString(),
          restarts,
          pendingRequests: report?.pendingRequests ?? null,
          clientConnections: report?.clientConnections ?? null,
        };
      }),
    );
  }

  /** What still runs gets the grace; a worker that does not end then, because it loops, is killed. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    const { schedule, log } = this.#options;
    const workers = this.#places.map(({ worker }) => worker);
    for (const worker of workers) worker.tell({ type: "stop", graceMs });
    const cancel = schedule(graceMs + STOP_MARGIN_MS, () => {
      for (const worker of workers.filter(({ alive }) => alive)) {
        log.error("worker did not stop and was killed", { worker: worker.index, pid: worker.pid });
        worker.kill();
      }
    });
    await Promise.all(workers.map((worker) => worker.exited));
    cancel();
  }

  kill(): void {
    this.#stopping = true;
    for (const { worker } of this.#places) if (worker.alive) worker.kill();
  }

  #startAll(): void {
    for (let index = this.#places.length; index < this.#options.count; index++) {
      let worker: WorkerHandle;
      try {
        worker = this.#spawn(index);
      } catch (error) {
        throw new RuntimeError(`no worker can be started: ${messageOf(error)}`, { cause: error });
      }
      const startedAtMs = this.#options.now();
      const fresh = { serving: false, startedAtMs, restarts: 0, quickDeaths: 0 };
      this.#places.push({ index, worker, ...fresh });
    }
  }

  #spawn(index: number): WorkerHandle {
    const { counters, version, instance, telemetry, spawn, schedule, random, log, onMessage } =
      this.#options;
    return new WorkerHandle({
      setup: { index, counters, seed: Math.floor(random() * 2 ** 32), instance, telemetry },
      version,
      spawn,
      schedule,
      log,
      onMessage,
      onExit: (worker, reason) => this.#ended(worker, reason),
    });
  }

  #ended(worker: WorkerHandle, reason: string): void {
    const { onExit, log, now } = this.#options;
    onExit(worker.index);
    const place = this.#places.find((each) => each.worker === worker);
    if (place === undefined) return;
    place.serving = false;
    if (this.#stopping || this.#inForce === null) return;
    const quick = now() - place.startedAtMs < STABLE_MS;
    place.quickDeaths = quick ? place.quickDeaths + 1 : 0;
    const fields = { worker: worker.index, pid: worker.pid, reason, waitMs: waitBefore(place) };
    log.error("worker ended, replacing it", fields);
    this.#replaceLater(place);
  }

  #replaceLater(place: Place): void {
    this.#options.schedule(waitBefore(place), () => this.#replace(place));
  }

  #replace(place: Place): void {
    if (this.#stopping) return;
    const { log, now } = this.#options;
    place.startedAtMs = now();
    try {
      place.worker = this.#spawn(place.index);
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

  /** Until the worker has what is in force, which may change meanwhile. One that cannot is killed. */
  async #bringUp(place: Place): Promise<void> {
    const { worker } = place;
    place.serving = false;
    for (let plan = this.#inForce; plan !== null && !place.serving; plan = this.#inForce) {
      const refusal = await this.#prepare(worker, plan);
      if (this.#stopping || !worker.alive) return;
      if (refusal !== null) {
        const fields = { worker: worker.index, pid: worker.pid, reason: refusal.message };
        this.#options.log.error("the new worker cannot serve", fields);
        worker.kill();
        return;
      }
      await this.#commit(place, plan);
    }
  }

  async #prepare(worker: WorkerHandle, plan: Plan): Promise<Error | null> {
    try {
      this.#options.beforePrepare(plan);
      return refusalOf([await worker.prepare(plan)]);
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  async #commit(place: Place, plan: Plan): Promise<void> {
    const { worker } = place;
    const answer = await worker.commit(plan.generation);
    // Null: it is dead, and its end brings the next replacement.
    if (answer?.type === "refused") worker.kill();
    else if (answer !== null && worker.alive) place.serving = this.#inForce === plan;
  }
}

function waitBefore({ quickDeaths }: Place): number {
  return BACKOFF_MS[Math.min(quickDeaths, BACKOFF_MS.length) - 1] ?? 0;
}

function refusalOf(answers: readonly (FromWorker | null)[]): Error | null {
  const refusal = answers.find((answer) => answer?.type === "refused");
  if (refusal?.type === "refused") {
    const { problems, atRunTime } = refusal;
    if (!atRunTime) return new ConfigError(problems);
    return new RuntimeError(problems.map(({ message }) => message).join("\n"));
  }
  if (!answers.includes(null)) return null;
  return new RuntimeError("a worker process ended before it could serve");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
