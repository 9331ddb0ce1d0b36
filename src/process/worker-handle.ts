import type { Schedule } from "../health/prober.ts";
import type { Logger } from "../log.ts";
import { HeldModules } from "./held-modules.ts";
import {
  type FromWorker,
  type Plan,
  readFromWorker,
  type StrategyConditions,
  type ToWorker,
  type WorkerReport,
  type WorkerSetup,
} from "./messages.ts";
import type { SpawnWorker, WorkerProcess } from "./worker-process.ts";

export interface WorkerHandleOptions {
  readonly setup: WorkerSetup;
  /** Of this program: a worker of another one would read the shared counters wrongly. */
  readonly version: string;
  readonly spawn: SpawnWorker;
  readonly schedule: Schedule;
  readonly log: Logger;
  /** As things are when a plan is sent. */
  conditionsOf(plan: Plan): StrategyConditions;
  /** A fact for the master that no request of ours asked for. */
  onMessage(message: FromWorker): void;
  /** The process is gone, for whatever reason; called once. */
  onExit(worker: WorkerHandle, reason: string): void;
}

/** The answer of one worker in a phase of a plan. */
type PhaseAnswer = Extract<FromWorker, { type: "prepared" | "refused" | "committed" }>;

/** For the process to come up: on a machine that is busy, Bun may need its time. */
const START_TIMEOUT_MS = 30_000;
/** A worker that does not answer its plan within this time is ended. */
const PHASE_TIMEOUT_MS = 10_000;
const REPORT_TIMEOUT_MS = 500;

/** One worker process as the master sees it. */
export class WorkerHandle {
  readonly index: number;
  readonly column: number;
  readonly startedAt = new Date();
  readonly modules = new HeldModules();
  /** Nobody can connect to it any more. */
  readonly closed: Promise<void>;
  readonly exited: Promise<void>;
  readonly #options: WorkerHandleOptions;
  readonly #process: WorkerProcess;
  /** The version that it said it is; null when it ended before. */
  readonly #started = Promise.withResolvers<string | null>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #phase = new Map<string, (answer: PhaseAnswer | null) => void>();
  readonly #reports = new Map<number, (report: WorkerReport | null) => void>();
  #nextReport = 1;
  #wasSetUp = false;
  #complained = false;
  #alive = true;

  /** Throws what `spawn` throws. */
  constructor(options: WorkerHandleOptions) {
    const { setup, spawn, schedule, log } = options;
    this.index = setup.index;
    this.column = setup.column;
    this.#options = options;
    const exited = Promise.withResolvers<void>();
    this.exited = exited.promise;
    this.closed = this.#closed.promise;
    const cancel = schedule(START_TIMEOUT_MS, () => this.kill());
    void this.#started.promise.then(cancel);
    try {
      this.#process = spawn({
        onMessage: (message) => this.#receive(message),
        onExit: (reason) => {
          this.#alive = false;
          log.debug("worker ended", { worker: this.index, pid: this.pid, reason });
          this.#started.resolve(null);
          for (const answer of this.#phase.values()) answer(null);
          for (const answer of this.#reports.values()) answer(null);
          options.onExit(this, reason);
          this.#closed.resolve();
          exited.resolve();
        },
      });
    } catch (error) {
      this.#started.resolve(null);
      throw error;
    }
  }

  get pid(): number {
    return this.#process.pid;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Null: the worker died or did not answer in time (it is ended then). */
  async prepare(plan: Plan, inForce: boolean): Promise<PhaseAnswer | null> {
    const version = await this.#started.promise;
    if (version === null) return null;
    const { generation } = plan;
    if (version !== this.#options.version) {
      const message =
        `runs leastwise ${version}, its master ${this.#options.version}: ` +
        "the program was replaced while it ran, restart it";
      const problems = [{ path: `worker ${this.index}`, message }];
      return { type: "refused", generation, problems, atRunTime: true };
    }
    this.modules.add(Object.values(plan.strategies));
    return this.#ask(`prepare ${generation}`, {
      type: "prepare",
      plan,
      inForce,
      conditions: this.#options.conditionsOf(plan),
    });
  }

  /** Null as above. */
  commit(generation: number): Promise<PhaseAnswer | null> {
    return this.#ask(`commit ${generation}`, { type: "commit", generation });
  }

  tell(
    message: Extract<ToWorker, { type: "abort" | "health" | "seal" | "reopen" | "stop" }>,
  ): void {
    this.#send(message);
  }

  /** Null: no answer within half a second. */
  report(): Promise<WorkerReport | null> {
    const id = this.#nextReport++;
    return this.#await(this.#reports, id, REPORT_TIMEOUT_MS, { type: "report", id }, () => {});
  }

  kill(): void {
    this.#process.kill();
  }

  #ask(key: string, message: ToWorker): Promise<PhaseAnswer | null> {
    return this.#await(this.#phase, key, PHASE_TIMEOUT_MS, message, () => {
      this.#options.log.error("a worker did not answer in time and is ended", {
        worker: this.index,
        pid: this.pid,
        phase: key,
        seconds: PHASE_TIMEOUT_MS / 1000,
      });
      this.kill();
    });
  }

  #await<Key, Answer>(
    waiting: Map<Key, (answer: Answer | null) => void>,
    key: Key,
    timeoutMs: number,
    message: ToWorker,
    onTimeout: () => void,
  ): Promise<Answer | null> {
    if (!this.#alive) return Promise.resolve(null);
    return new Promise((resolve) => {
      const settle = (answer: Answer | null): void => {
        cancel();
        waiting.delete(key);
        resolve(answer);
      };
      const cancel = this.#options.schedule(timeoutMs, () => {
        onTimeout();
        settle(null);
      });
      waiting.set(key, settle);
      this.#send(message);
    });
  }

  #receive(raw: unknown): void {
    const message = readFromWorker(raw);
    if (message === null) return this.#complain();
    switch (message.type) {
      case "started":
        // Once: a second setup would make the worker forget what it serves.
        if (this.#wasSetUp) return this.#complain();
        this.#wasSetUp = true;
        this.#send({ type: "setup", setup: this.#options.setup });
        this.#started.resolve(message.version);
        break;
      case "prepared":
        this.#phase.get(`prepare ${message.generation}`)?.(message);
        break;
      case "committed":
        this.#phase.get(`commit ${message.generation}`)?.(message);
        break;
      case "refused":
        this.#phase.get(`prepare ${message.generation}`)?.(message);
        this.#phase.get(`commit ${message.generation}`)?.(message);
        break;
      case "closed":
        this.#closed.resolve();
        break;
      case "report":
        this.#reports.get(message.id)?.(message.report);
        break;
      default:
        this.#options.onMessage(message);
    }
  }

  #complain(): void {
    if (this.#complained) return;
    this.#complained = true;
    this.#options.log.warn("messages of a worker are ignored: only leastwise may send there", {
      worker: this.index,
      pid: this.pid,
      hint: "does a strategy call process.send?",
    });
  }

  #send(message: ToWorker): void {
    if (!this.#alive) return;
    try {
      this.#process.send(message);
    } catch {
      // The channel closes a moment before the exit is seen; onExit answers whoever waits.
    }
  }
}
