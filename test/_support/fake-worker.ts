import type { FromWorker, ToWorker } from "../../src/process/messages.ts";
import type { WorkerProcess, WorkerProcessEvents } from "../../src/process/worker-process.ts";

/** Worker processes that a test plays, in the order in which they were spawned. */
export class FakeWorkers {
  readonly all: FakeWorker[] = [];
  /** What the next spawns throw, first one first. */
  readonly failures: Error[] = [];
  version = "1.0.0";
  /** How a worker answers a message; null: not at all. Default: it does what it is told. */
  answer: (message: ToWorker, worker: FakeWorker) => unknown = obey;

  readonly spawn = (events: WorkerProcessEvents): WorkerProcess => {
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    const worker = new FakeWorker(this.all.length + 1, events, this);
    this.all.push(worker);
    queueMicrotask(() => worker.say({ type: "started", version: this.version }));
    return worker;
  };

  /** The one spawned as the n-th, from 0. */
  at(index: number): FakeWorker {
    const worker = this.all[index];
    if (worker === undefined) throw new Error(`only ${this.all.length} workers were spawned`);
    return worker;
  }
}

export class FakeWorker implements WorkerProcess {
  readonly pid: number;
  readonly told: ToWorker[] = [];
  killed = false;
  ended = false;
  readonly #events: WorkerProcessEvents;
  readonly #workers: FakeWorkers;

  constructor(pid: number, events: WorkerProcessEvents, workers: FakeWorkers) {
    this.pid = pid;
    this.#events = events;
    this.#workers = workers;
  }

  send(message: ToWorker): void {
    this.told.push(message);
    queueMicrotask(() => {
      if (this.ended) return;
      if (message.type === "stop" && this.#workers.answer === obey) this.end("exit code 0");
      const answer = this.#workers.answer(message, this);
      if (answer !== null) this.say(answer);
    });
  }

  kill(): void {
    this.killed = true;
    queueMicrotask(() => this.end("signal SIGKILL"));
  }

  /** As leastwise's own code does. */
  say(message: unknown): void {
    const [first] = this.told;
    const key = first?.type === "setup" ? first.setup.key : undefined;
    this.forge(typeof message === "object" ? { ...message, key } : message);
  }

  /** As a strategy can. */
  forge(message: unknown): void {
    if (!this.ended) this.#events.onMessage(message);
  }

  end(reason: string): void {
    if (this.ended) return;
    this.ended = true;
    this.#events.onExit(reason);
  }

  /** Short names of what it was told: `prepare 1`, `commit 1`, `setup`. */
  get history(): string[] {
    return this.told.map((message) => {
      if (message.type === "prepare") return `prepare ${message.plan.generation}`;
      return "generation" in message ? `${message.type} ${message.generation}` : message.type;
    });
  }
}

/** What a worker without faults answers. */
export function obey(message: ToWorker): FromWorker | null {
  switch (message.type) {
    case "prepare":
      return { type: "prepared", generation: message.plan.generation };
    case "commit":
      return { type: "committed", generation: message.generation };
    case "report":
      return {
        type: "report",
        id: message.id,
        report: { pendingRequests: 0, clientConnections: null, pools: {} },
      };
    case "ping":
      return { type: "pong", id: message.id };
    default:
      return null;
  }
}
