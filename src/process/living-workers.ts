import type { Schedule } from "../health/prober.ts";
import type { Logger } from "../log.ts";
import { NOTICE_MS, type StopTimes } from "./listeners.ts";
import type {
  FromWorker,
  Plan,
  StrategyConditions,
  ToWorker,
  WorkerReport,
  WorkerSetup,
} from "./messages.ts";
import type { ProcessUsages } from "./process-usage.ts";
import { WorkerHandle } from "./worker-handle.ts";
import type { SpawnWorker } from "./worker-process.ts";

export interface LivingWorkersOptions {
  readonly counters: WorkerSetup["counters"];
  readonly version: string;
  readonly instance: string;
  readonly telemetry: WorkerSetup["telemetry"];
  readonly spawn: SpawnWorker;
  readonly conditionsOf: (plan: Plan) => StrategyConditions;
  readonly onMessage: (message: FromWorker) => void;
  readonly usages: ProcessUsages;
  readonly random: () => number;
  readonly now: () => number;
  readonly schedule: Schedule;
  readonly log: Logger;
}

/** Beyond the grace, for a worker to end by itself: telemetry may still be sending. */
const STOP_MARGIN_MS = 5000;

/** All worker processes that there are: those that serve, those that come up, and those that stop. */
export class LivingWorkers {
  readonly #options: LivingWorkersOptions;
  readonly #onExit: (worker: WorkerHandle, reason: string) => void;
  readonly #all = new Set<WorkerHandle>();

  constructor(
    options: LivingWorkersOptions,
    onExit: (worker: WorkerHandle, reason: string) => void,
  ) {
    this.#options = options;
    this.#onExit = onExit;
  }

  get all(): readonly WorkerHandle[] {
    return [...this.#all];
  }

  /** `succeeds`: another one serves in the place until this one does. Throws what the system throws. */
  spawn(index: number, succeeds: boolean): WorkerHandle {
    const { counters, version, instance, telemetry, spawn, schedule, random, log } = this.#options;
    const { conditionsOf, onMessage, usages, now } = this.#options;
    const seed = Math.floor(random() * 2 ** 32);
    const column = this.#freeColumn();
    const key = crypto.randomUUID();
    const worker = new WorkerHandle({
      setup: { index, column, succeeds, counters, seed, key, instance, telemetry },
      version,
      spawn,
      usages,
      now,
      schedule,
      log,
      conditionsOf,
      onMessage,
      onExit: (ended, reason) => {
        this.#all.delete(ended);
        this.#onExit(ended, reason);
      },
    });
    this.#all.add(worker);
    return worker;
  }

  tell(message: Extract<ToWorker, { type: "health" | "seal" | "reopen" }>): void {
    for (const worker of this.#all) worker.tell(message);
  }

  reports(): Promise<(WorkerReport | null)[]> {
    return Promise.all(this.all.map((worker) => worker.report()));
  }

  /** Resolves when they have ended. One that does not, because it loops, is killed. */
  async stop(workers: readonly WorkerHandle[], times: StopTimes): Promise<void> {
    const { schedule, log } = this.#options;
    for (const worker of workers) worker.tell({ type: "stop", ...times });
    const { delayMs, graceMs } = times;
    const cancel = schedule(Math.max(delayMs, NOTICE_MS) + graceMs + STOP_MARGIN_MS, () => {
      for (const worker of workers.filter(({ alive }) => alive)) {
        log.error("worker did not stop and was killed", { worker: worker.index, pid: worker.pid });
        worker.end("did not stop in time");
      }
    });
    await Promise.all(workers.map(({ exited }) => exited));
    cancel();
  }

  kill(): void {
    for (const worker of this.#all) worker.end("was ended with all others");
  }

  #freeColumn(): number {
    const taken = new Set(this.all.map(({ column }) => column));
    let column = 0;
    while (taken.has(column)) column++;
    return column;
  }
}
