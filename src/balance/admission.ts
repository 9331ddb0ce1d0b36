import { configOf, type PoolBackend, rowOf } from "../pool/backend.ts";
import {
  type Counters,
  EJECTION_NONE,
  EJECTION_TRIAL_OPEN,
  EJECTION_TRIAL_TAKEN,
} from "../pool/counters.ts";
import { Lease } from "../pool/lease.ts";
import type { Pool } from "../pool/pool.ts";

/**
 * Takes what a request needs to be sent to a backend: its lease and, if the backend is coming back
 * from an ejection, the trial. Null when somebody was quicker with either, or the backend has been
 * ejected since it was a candidate: drop it and pick again. `failOpen` as in the selection it comes
 * from: nobody asks for a trial then.
 */
export function admit(
  pool: Pool,
  backend: PoolBackend,
  worker: number,
  failOpen: boolean,
): Admission | null {
  const { counters } = pool;
  const row = rowOf(backend);
  const lease = Lease.take(counters, row, worker, configOf(backend).maxInFlight);
  if (lease === null) return null;
  if (failOpen || counters.ejection(row) === EJECTION_NONE) {
    return new Admission(counters, row, worker, lease, false);
  }
  if (counters.changeEjection(row, EJECTION_TRIAL_OPEN, EJECTION_TRIAL_TAKEN + worker)) {
    return new Admission(counters, row, worker, lease, true);
  }
  lease.release();
  return null;
}

/** The right to one attempt at one backend. `release` must be called under every ending; it acts once. */
export class Admission {
  readonly row: number;
  readonly worker: number;
  readonly #counters: Counters;
  readonly #lease: Lease;
  #trial: boolean;

  constructor(counters: Counters, row: number, worker: number, lease: Lease, trial: boolean) {
    this.row = row;
    this.worker = worker;
    this.#counters = counters;
    this.#lease = lease;
    this.#trial = trial;
  }

  /** True once, if this attempt was the backend's trial: whoever asks must report how it went. */
  takeTrial(): boolean {
    const trial = this.#trial;
    this.#trial = false;
    return trial;
  }

  /**
   * Gives the lease back. A trial that nobody took an answer from is open again, so that a client
   * which went away, or a fault of our own, cannot keep the backend ejected.
   */
  release(): void {
    if (this.takeTrial()) {
      this.#counters.changeEjection(
        this.row,
        EJECTION_TRIAL_TAKEN + this.worker,
        EJECTION_TRIAL_OPEN,
      );
    }
    this.#lease.release();
  }
}
