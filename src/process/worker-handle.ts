import type { Logger } from "../log.ts";
import type { FromWorker, Plan, ToWorker, WorkerReport, WorkerSetup } from "./messages.ts";
import { selfCommand } from "./self.ts";

export interface WorkerEvents {
  /** A fact for the master that no request of ours asked for. */
  onMessage(message: FromWorker): void;
  /** The process is gone, for whatever reason; called once. */
  onExit(worker: WorkerHandle, reason: string): void;
}

/** The answer of one worker in a phase of a plan. */
export type PhaseAnswer = Extract<FromWorker, { type: "prepared" | "refused" | "committed" }>;

/** A worker that does not answer its plan within this time is ended. */
const PHASE_TIMEOUT_MS = 10_000;
const REPORT_TIMEOUT_MS = 500;

/** One worker process as the master sees it. */
export class WorkerHandle {
  readonly index: number;
  readonly startedAt = new Date();
  readonly #process: Bun.Subprocess;
  readonly #started: Promise<boolean>;
  readonly #phase = new Map<string, (answer: PhaseAnswer | null) => void>();
  readonly #reports = new Map<number, (report: WorkerReport | null) => void>();
  #nextReport = 1;
  #exited = false;

  constructor(setup: WorkerSetup, events: WorkerEvents, log: Logger) {
    this.index = setup.index;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#started = promise;
    this.#process = Bun.spawn(selfCommand(["__worker"]), {
      stdin: "ignore",
      stdout: "inherit",
      stderr: "inherit",
      serialization: "advanced",
      ipc: (message: FromWorker) => {
        if (message.type === "started") {
          this.#send({ type: "setup", setup });
          resolve(true);
        } else this.#receive(message, events);
      },
      onExit: (_process, code, signal) => {
        this.#exited = true;
        const reason = signal === null ? `exit code ${code}` : `signal ${signal}`;
        log.debug("worker ended", { worker: this.index, pid: this.pid, reason });
        resolve(false);
        for (const answer of this.#phase.values()) answer(null);
        for (const answer of this.#reports.values()) answer(null);
        events.onExit(this, reason);
      },
    });
  }

  get pid(): number {
    return this.#process.pid;
  }

  get exited(): Promise<unknown> {
    return this.#process.exited;
  }

  /** Null: the worker died or did not answer in time (it is ended then). */
  async prepare(plan: Plan): Promise<PhaseAnswer | null> {
    if (!(await this.#started)) return null;
    return this.#ask(`prepare ${plan.generation}`, { type: "prepare", plan });
  }

  commit(generation: number): Promise<PhaseAnswer | null> {
    return this.#ask(`commit ${generation}`, { type: "commit", generation });
  }

  abort(generation: number): void {
    this.#send({ type: "abort", generation });
  }

  tell(message: Extract<ToWorker, { type: "health" | "stop" }>): void {
    this.#send(message);
  }

  /** Null: no answer within half a second. */
  report(): Promise<WorkerReport | null> {
    if (this.#exited) return Promise.resolve(null);
    const id = this.#nextReport++;
    return new Promise((resolve) => {
      const settle = (report: WorkerReport | null): void => {
        clearTimeout(timer);
        this.#reports.delete(id);
        resolve(report);
      };
      const timer = setTimeout(() => settle(null), REPORT_TIMEOUT_MS);
      this.#reports.set(id, settle);
      this.#send({ type: "report", id });
    });
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }

  #ask(key: string, message: ToWorker): Promise<PhaseAnswer | null> {
    if (this.#exited) return Promise.resolve(null);
    return new Promise((resolve) => {
      const settle = (answer: PhaseAnswer | null): void => {
        clearTimeout(timer);
        this.#phase.delete(key);
        resolve(answer);
      };
      const timer = setTimeout(() => {
        this.kill();
        settle(null);
      }, PHASE_TIMEOUT_MS);
      this.#phase.set(key, settle);
      this.#send(message);
    });
  }

  #receive(message: FromWorker, events: WorkerEvents): void {
    switch (message.type) {
      case "prepared":
      case "refused":
        this.#phase.get(`prepare ${message.generation}`)?.(message);
        break;
      case "committed":
        this.#phase.get(`commit ${message.generation}`)?.(message);
        break;
      case "report":
        this.#reports.get(message.id)?.(message.report);
        break;
      default:
        events.onMessage(message);
    }
  }

  #send(message: ToWorker): void {
    if (this.#exited) return;
    try {
      this.#process.send(message);
    } catch {
      // The channel closes a moment before the exit is seen; onExit answers whoever waits.
    }
  }
}
