import type { Logger } from "../log.ts";
import type { Plan } from "./messages.ts";
import { refusalOf } from "./refusal.ts";
import type { WorkerHandle } from "./worker-handle.ts";

export interface PlanInForceOptions {
  /** Puts the plan's files where its workers look for them. May throw. */
  readonly beforePrepare: (plan: Plan) => void;
  /** What a worker that is gone died of, if that is known. */
  readonly causeOf: (worker: WorkerHandle) => string | null;
  readonly isStopping: () => boolean;
  readonly log: Logger;
}

/** The plan that workers have, and how one more comes to have it. */
export class PlanInForce {
  readonly #options: PlanInForceOptions;
  /** The newest that was committed; null before the first. */
  current: Plan | null = null;

  constructor(options: PlanInForceOptions) {
    this.#options = options;
  }

  /** Until the worker has what is in force, which may change meanwhile. One that cannot is ended. */
  async raise(worker: WorkerHandle): Promise<Error | null> {
    for (let plan = this.current; plan !== null; plan = this.current) {
      const refusal = await this.bring(worker, plan, true);
      if (refusal !== null && (this.#options.isStopping() || !worker.alive)) return refusal;
      // The reload that took its place may have removed what it was made of, or have mended it.
      if (plan !== this.current) continue;
      if (refusal !== null) {
        const fields = { worker: worker.index, pid: worker.pid, reason: refusal.message };
        this.#options.log.error("the new worker cannot serve", fields);
        worker.end("could not serve");
      }
      return refusal;
    }
    return new Error("no plan is in force");
  }

  /** Prepares a plan in one worker, and commits it there. */
  async bring(worker: WorkerHandle, plan: Plan, inForce: boolean): Promise<Error | null> {
    const { beforePrepare, causeOf } = this.#options;
    let refusal: Error | null;
    try {
      beforePrepare(plan);
      refusal = refusalOf(await worker.prepare(plan, inForce), causeOf(worker));
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
    if (refusal !== null || (await this.commit(worker, plan))) return refusal;
    return refusalOf(null, causeOf(worker));
  }

  /** Whether the worker lives and has it now. */
  async commit(worker: WorkerHandle, plan: Plan): Promise<boolean> {
    const answer = await worker.commit(plan.generation);
    // A worker that is being stopped has given it up.
    const lacksIt = answer?.type === "refused" && !this.#options.isStopping();
    if (lacksIt) worker.end("had no plan to commit");
    return answer?.type === "committed" && worker.alive;
  }
}
