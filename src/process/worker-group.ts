import type { WorkerStatus } from "../admin/server.ts";
import { ConfigError, RuntimeError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { FromWorker, Plan, ToWorker, WorkerReport, WorkerSetup } from "./messages.ts";
import { WorkerHandle } from "./worker-handle.ts";

export interface WorkerGroupOptions {
  readonly counters: WorkerSetup["counters"];
  /** The plan that is in force. */
  readonly plan: () => Plan;
  readonly onMessage: (message: FromWorker) => void;
  /** A worker is gone: its share must be returned before its place is taken again. */
  readonly onExit: (index: number) => void;
  readonly random: () => number;
  readonly now: () => number;
  readonly log: Logger;
}

/** A worker that served for this long and dies is replaced at once. */
const STABLE_MS = 10_000;
/** Waits before the replacements of one that keeps dying. */
const BACKOFF_MS = [0, 100, 500, 1000, 2000, 5000];

interface Place {
  worker: WorkerHandle;
  startedAtMs: number;
  restarts: number;
  /** Deaths in a row, each soon after its start. */
  quickDeaths: number;
}

/** The workers, each in its place; whoever dies is replaced. */
export class WorkerGroup {
  readonly #options: WorkerGroupOptions;
  readonly #places = new Map<number, Place>();
  #stopping = false;

  constructor(options: WorkerGroupOptions) {
    this.#options = options;
  }

  /** In two phases. Throws ConfigError or RuntimeError, with the reasons of all that refused. */
  async start(count: number): Promise<void> {
    const plan = this.#options.plan();
    const workers = Array.from({ length: count }, (_, index) => this.#spawn(index, null));
    const answers = await Promise.all(workers.map((worker) => worker.prepare(plan)));
    const refusal = answers.find((answer) => answer?.type === "refused");
    if (refusal?.type === "refused") {
      for (const worker of workers) worker.abort(plan.generation);
      const message = refusal.problems.map((problem) => problem.message).join("\n");
      throw refusal.atRunTime ? new RuntimeError(message) : new ConfigError(refusal.problems);
    }
    if (answers.includes(null)) {
      throw new RuntimeError("a worker process ended before it could serve");
    }
    await Promise.all(workers.map((worker) => worker.commit(plan.generation)));
  }

  tell(message: Extract<ToWorker, { type: "health" }>): void {
    for (const { worker } of this.#places.values()) worker.tell(message);
  }

  reports(): Promise<(WorkerReport | null)[]> {
    return Promise.all([...this.#places.values()].map(({ worker }) => worker.report()));
  }

  async status(): Promise<WorkerStatus[]> {
    return Promise.all(
      [...this.#places.values()].map(async ({ worker, restarts }) => ({
        id: worker.index,
        pid: worker.pid,
        startedAt: worker.startedAt.toISOString(),
        restarts,
        pendingRequests: (await worker.report())?.pendingRequests ?? null,
      })),
    );
  }

  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    const workers = [...this.#places.values()].map(({ worker }) => worker);
    for (const worker of workers) worker.tell({ type: "stop", graceMs });
    await Promise.all(workers.map((worker) => worker.exited));
  }

  kill(): void {
    this.#stopping = true;
    for (const { worker } of this.#places.values()) worker.kill();
  }

  #spawn(index: number, before: Place | null): WorkerHandle {
    const { counters, random, now, log, onMessage } = this.#options;
    const setup: WorkerSetup = { index, counters, seed: Math.floor(random() * 2 ** 32) };
    const worker = new WorkerHandle(
      setup,
      { onMessage, onExit: (gone, reason) => void this.#replace(gone, reason) },
      log,
    );
    this.#places.set(index, {
      worker,
      startedAtMs: now(),
      restarts: before === null ? 0 : before.restarts + 1,
      quickDeaths: before?.quickDeaths ?? 0,
    });
    return worker;
  }

  async #replace(gone: WorkerHandle, reason: string): Promise<void> {
    const { onExit, log, now, plan } = this.#options;
    onExit(gone.index);
    const place = this.#places.get(gone.index);
    if (this.#stopping || place?.worker !== gone) return;
    const quick = now() - place.startedAtMs < STABLE_MS;
    place.quickDeaths = quick ? place.quickDeaths + 1 : 0;
    const waitMs = BACKOFF_MS[Math.min(place.quickDeaths, BACKOFF_MS.length) - 1] ?? 0;
    log.error("worker ended, replacing it", { worker: gone.index, pid: gone.pid, reason, waitMs });
    if (waitMs > 0) await Bun.sleep(waitMs);
    if (this.#stopping) return;
    const worker = this.#spawn(gone.index, place);
    const { generation } = plan();
    const prepared = await worker.prepare(plan());
    if (prepared?.type === "prepared") {
      await worker.commit(generation);
      log.info("worker replaced", { worker: worker.index, pid: worker.pid });
      return;
    }
    // Null: it died again, and its own end brings the next replacement.
    if (prepared?.type === "refused") {
      log.error("the new worker refused to serve", {
        worker: worker.index,
        reason: prepared.problems.map(({ path, message }) => `${path}: ${message}`).join("; "),
      });
      worker.kill();
    }
  }
}
