import type { WorkerHandle } from "./worker-handle.ts";

/** Of one worker among the others; whoever dies there is replaced. */
export interface Place {
  readonly index: number;
  worker: WorkerHandle;
  /** One that is being brought up to take the place, which nobody else does meanwhile. */
  successor: WorkerHandle | null;
  /** Until the worker that replaces another serves, or has ended. */
  coming: Promise<void>;
  /** It has committed the plan that is in force. */
  serving: boolean;
  startedAtMs: number;
  restarts: number;
  /** Deaths and failures to start in a row, each soon after the start. */
  quickDeaths: number;
}

export function createPlace(index: number, worker: WorkerHandle, startedAtMs: number): Place {
  return {
    index,
    worker,
    successor: null,
    coming: Promise.resolve(),
    serving: false,
    startedAtMs,
    restarts: 0,
    quickDeaths: 0,
  };
}
