import type { Schedule } from "../health/prober.ts";
import type { Logger } from "../log.ts";
import type { Answer, Question } from "./answers.ts";
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
import { Patience } from "./patience.ts";
import type { ProcessUsages } from "./process-usage.ts";
import type { SpawnWorker, WorkerProcess } from "./worker-process.ts";

export interface WorkerHandleOptions {
  readonly setup: WorkerSetup;
  /** Of this program: a worker of another one would read the shared counters wrongly. */
  readonly version: string;
  readonly spawn: SpawnWorker;
  readonly usages: ProcessUsages;
  readonly now: () => number;
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
export type PhaseAnswer = Extract<FromWorker, { type: "prepared" | "refused" | "committed" }>;

/** Questions that are not answered yet, by number; null: there was no answer in time. */
type Waiting<Answer> = Map<number, (answer: Answer | null) => void>;

/** A phase that a worker has not answered yet. */
interface Asked {
  readonly patience: Patience;
  settle(answer: PhaseAnswer | null): void;
}

/** For the process to come up: on a machine that is busy, Bun may need its time. */
const START_TIMEOUT_MS = 30_000;
/** A worker that comes no further with its plan within this time is ended. */
const PHASE_TIMEOUT_MS = 10_000;
const REPORT_TIMEOUT_MS = 500;
const ANSWER_TIMEOUT_MS = 1000;

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
  readonly #phase = new Map<string, Asked>();
  readonly #reports: Waiting<WorkerReport> = new Map();
  readonly #pings: Waiting<true> = new Map();
  readonly #answers: Waiting<Answer> = new Map();
  #nextQuestion = 1;
  /** Undefined until the worker has been told. */
  #key: string | undefined;
  #complained = false;
  #alive = true;
  #endedFor: string | null = null;
  #isToEnd = false;

  /** Throws what `spawn` throws. */
  constructor(options: WorkerHandleOptions) {
    const { setup, spawn, log } = options;
    this.index = setup.index;
    this.column = setup.column;
    this.#options = options;
    const exited = Promise.withResolvers<void>();
    this.exited = exited.promise;
    this.closed = this.#closed.promise;
    try {
      this.#process = spawn({
        onMessage: (message) => this.#receive(message),
        onExit: (reason) => {
          this.#alive = false;
          log.debug("worker ended", { worker: this.index, pid: this.pid, reason });
          this.#started.resolve(null);
          for (const asked of this.#phase.values()) asked.settle(null);
          for (const answer of this.#reports.values()) answer(null);
          for (const answer of this.#answers.values()) answer(null);
          for (const answer of this.#pings.values()) answer(null);
          options.onExit(this, reason);
          this.#closed.resolve();
          exited.resolve();
        },
      });
    } catch (error) {
      this.#started.resolve(null);
      throw error;
    }
    const patience = this.#patience(START_TIMEOUT_MS, "start", () =>
      this.end(`did not come up within ${START_TIMEOUT_MS / 1000} s`),
    );
    void this.#started.promise.then(() => patience.end());
  }

  get pid(): number {
    return this.#process.pid;
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** It was told to stop, or killed. */
  get isToEnd(): boolean {
    return this.#isToEnd;
  }

  /** Why it was ended, when no strategy is to blame for that; goes on a sentence that begins with `it`. */
  get endedFor(): string | null {
    return this.#endedFor;
  }

  /**
   * Null: the worker died or did not answer in time (it is ended then). A plan that is not in force
   * is refused in the name of a worker that is stopped; for one that is, it is waited.
   */
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
    const conditions = this.#options.conditionsOf(plan);
    return this.#ask("prepare", generation, { type: "prepare", plan, inForce, conditions });
  }

  /** Null as above. */
  commit(generation: number): Promise<PhaseAnswer | null> {
    return this.#ask("commit", generation, { type: "commit", generation });
  }

  tell(
    message: Extract<ToWorker, { type: "abort" | "health" | "seal" | "reopen" | "stop" }>,
  ): void {
    if (message.type === "stop") this.#isToEnd = true;
    this.#send(message);
  }

  /** Null: no answer within half a second. */
  report(): Promise<WorkerReport | null> {
    const id = this.#nextQuestion++;
    return this.#await(this.#reports, id, REPORT_TIMEOUT_MS, { type: "report", id });
  }

  /** Null as for a report, and nothing that takes the worker any time. */
  ping(): Promise<true | null> {
    const id = this.#nextQuestion++;
    return this.#await(this.#pings, id, REPORT_TIMEOUT_MS, { type: "ping", id });
  }

  /** Null: no answer within a second. */
  ask(question: Question): Promise<Answer | null> {
    const id = this.#nextQuestion++;
    return this.#await(this.#answers, id, ANSWER_TIMEOUT_MS, { type: "ask", id, question });
  }

  /** It is to blame, or its strategies are. */
  kill(): void {
    this.#isToEnd = true;
    this.#process.kill();
  }

  /** `reason`: see `endedFor`. */
  end(reason: string): void {
    this.#endedFor ??= reason;
    this.kill();
  }

  #ask(
    phase: "prepare" | "commit",
    generation: number,
    message: Extract<ToWorker, { type: "prepare" | "commit" }>,
  ): Promise<PhaseAnswer | null> {
    if (!this.#alive) return Promise.resolve(null);
    const key = `${phase} ${generation}`;
    const { promise, resolve } = Promise.withResolvers<PhaseAnswer | null>();
    const settle = (answer: PhaseAnswer | null): void => {
      patience.end();
      this.#phase.delete(key);
      resolve(answer);
    };
    const onSpent = (): void => {
      const seconds = PHASE_TIMEOUT_MS / 1000;
      const { index, pid } = this;
      const fields = { worker: index, pid, phase: key, seconds };
      this.#options.log.error("a worker did not answer in time and is ended", fields);
      // Its end is the answer: by then it is known what it was busy with.
      this.end(`did not answer its plan within ${seconds} s`);
    };
    // What has been committed cannot be taken back from a worker that does not listen.
    const refuses = message.type === "prepare" && !message.inForce;
    const onHeldUp = (reason: string): void => {
      if (!refuses) return;
      const problems = [{ path: `worker ${this.index}`, message: reason }];
      settle({ type: "refused", generation, problems, atRunTime: true });
    };
    const patience = this.#patience(PHASE_TIMEOUT_MS, key, onSpent, onHeldUp);
    this.#phase.set(key, { patience, settle });
    this.#send(message);
    return promise;
  }

  #await<T>(
    waiting: Waiting<T>,
    id: number,
    timeoutMs: number,
    message: ToWorker,
  ): Promise<T | null> {
    if (!this.#alive) return Promise.resolve(null);
    const { promise, resolve } = Promise.withResolvers<T | null>();
    const settle = (answer: T | null): void => {
      cancel();
      waiting.delete(id);
      resolve(answer);
    };
    const cancel = this.#options.schedule(timeoutMs, () => settle(null));
    waiting.set(id, settle);
    this.#send(message);
    return promise;
  }

  #patience(
    limitMs: number,
    phase: string,
    onSpent: () => void,
    onHeldUp: (reason: string) => void = () => {},
  ): Patience {
    const { usages, now, schedule, log } = this.#options;
    const { index, pid } = this;
    return new Patience({
      pid,
      limitMs,
      usages,
      now,
      schedule,
      onSpent,
      onHeldUp: () => {
        log.warn("a worker is waited for that is stopped, or gets no time on a processor", {
          worker: index,
          pid,
          phase,
        });
        onHeldUp(
          `worker ${index} (process ${pid}) is stopped, or gets no time on a processor: ` +
            `continue it (kill -CONT ${pid}) or end it`,
        );
      },
    });
  }

  #receive(raw: unknown): void {
    const message = readFromWorker(raw, this.#key);
    if (message === null) return this.#complain();
    switch (message.type) {
      case "started":
        this.#key = this.#options.setup.key;
        this.#send({ type: "setup", setup: this.#options.setup });
        this.#started.resolve(message.version);
        break;
      case "preparing":
        this.#phase.get(`prepare ${message.generation}`)?.patience.renew();
        break;
      case "prepared":
        this.#phase.get(`prepare ${message.generation}`)?.settle(message);
        break;
      case "committed":
        this.#phase.get(`commit ${message.generation}`)?.settle(message);
        break;
      case "refused":
        this.#phase.get(`prepare ${message.generation}`)?.settle(message);
        this.#phase.get(`commit ${message.generation}`)?.settle(message);
        break;
      case "closed":
        this.#closed.resolve();
        break;
      case "failed":
        this.#endedFor ??= `failed: ${message.reason}`;
        break;
      case "report":
        this.#reports.get(message.id)?.(message.report);
        break;
      case "answer":
        this.#answers.get(message.id)?.(message.answer);
        break;
      case "pong":
        this.#pings.get(message.id)?.(true);
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
