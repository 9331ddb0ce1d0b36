import { RuntimeError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Plan } from "./messages.ts";
import { refusalOf } from "./refusal.ts";
import type { PhaseAnswer, WorkerHandle } from "./worker-handle.ts";

export interface RolloutOptions {
  /** Those that can be asked now. */
  readonly workers: () => readonly WorkerHandle[];
  /** There is no plan before it that would go on without it. */
  readonly first: boolean;
  /** What a worker that is gone died of, if that is known. */
  readonly causeOf: (worker: WorkerHandle) => string | null;
  readonly isStopping: () => boolean;
  readonly log: Logger;
}

/** Who has a plan when it has come into force. */
export interface BegunRollout {
  readonly committed: WorkerHandle;
  /** They have prepared it. */
  readonly waiting: readonly WorkerHandle[];
}

/** A plan on its way into the workers. */
export class Rollout {
  readonly #plan: Plan;
  readonly #options: RolloutOptions;
  readonly #asked = new Set<WorkerHandle>();
  /** A worker may end while it is asked and for no reason that the plan could be; not two. */
  #excuses: number;

  constructor(plan: Plan, options: RolloutOptions) {
    this.#plan = plan;
    this.#options = options;
    this.#excuses = options.first ? 0 : 1;
  }

  /**
   * All workers prepare it, and one commits it: what takes a worker's process with it, be it the new
   * strategies' `create` or the old ones' `dispose`, must not take them all. Null: nobody is left who
   * could be asked. Throws the refusal; then it is aborted everywhere.
   */
  async begin(): Promise<BegunRollout | null> {
    const { generation } = this.#plan;
    try {
      const prepared = await this.#prepare();
      if (this.#options.isStopping()) throw new RuntimeError("the workers are being stopped");
      for (const [index, committed] of prepared.entries()) {
        if (!this.#goesOn(committed, await committed.commit(generation))) continue;
        return { committed, waiting: prepared.slice(index + 1) };
      }
      return null;
    } catch (refusal) {
      for (const worker of this.#asked) worker.tell({ type: "abort", generation });
      throw refusal;
    }
  }

  async #prepare(): Promise<WorkerHandle[]> {
    const prepared: WorkerHandle[] = [];
    while (!this.#options.first && prepared.length === 0) {
      const [next] = this.#unasked();
      if (next === undefined) return [];
      prepared.push(...(await this.#prepareIn([next])));
    }
    return [...prepared, ...(await this.#prepareIn(this.#unasked()))];
  }

  async #prepareIn(workers: readonly WorkerHandle[]): Promise<WorkerHandle[]> {
    for (const worker of workers) this.#asked.add(worker);
    const answers = await Promise.all(workers.map((each) => each.prepare(this.#plan, false)));
    return workers.filter((worker, index) => this.#goesOn(worker, answers[index] ?? null));
  }

  #unasked(): WorkerHandle[] {
    return this.#options.workers().filter((worker) => !this.#asked.has(worker));
  }

  /** Whether the worker is still part of it. Throws what stops it. */
  #goesOn(worker: WorkerHandle, answer: PhaseAnswer | null): boolean {
    const { causeOf, log } = this.#options;
    const cause = causeOf(worker);
    const refusal = refusalOf(answer, cause);
    if (refusal === null) return true;
    if (answer !== null || cause !== null || this.#excuses === 0) throw refusal;
    this.#excuses--;
    log.warn("a worker ended during a reload, which goes on without it", {
      worker: worker.index,
      pid: worker.pid,
    });
    return false;
  }
}
