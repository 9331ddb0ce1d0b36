import { configOf, isGone, type PoolBackend, rowOf } from "../pool/backend.ts";
import { type Counters, EJECTION_NONE } from "../pool/counters.ts";
import { Lease } from "../pool/lease.ts";
import type { Pool } from "../pool/pool.ts";

/**
 * Takes what a request needs to be sent to a backend: its lease and, if the backend is coming back
 * from an ejection, the trial. Null when somebody was quicker with either, or the backend has been
 * ejected or removed since it was a candidate: drop it and pick again. `failOpen` as in the selection it comes
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
  // Only now: the lease keeps the row from being given to another backend.
  if (isGone(backend)) {
    lease.release();
    return null;
  }
  if (failOpen || counters.ejection(row) === EJECTION_NONE) {
    return new Admission(counters, row, worker, lease, null);
  }
  const trial = counters.takeTrial(row, worker);
  if (trial !== null) return new Admission(counters, row, worker, lease, trial);
  lease.release();
  return null;
}

/** The right to one attempt at one backend. `release` must be called under every ending; it acts once. */
export class Admission {
  readonly row: number;
  readonly worker: number;
  readonly #counters: Counters;
  readonly #lease: Lease;
  #trial: number | null;

  constructor(counters: Counters, row: number, worker: number, lease: Lease, trial: number | null) {
    this.row = row;
    this.worker = worker;
    this.#counters = counters;
    this.#lease = lease;
    this.#trial = trial;
  }

  /** The trial's number, once, if this attempt was the backend's trial: whoever asks must report how it went. */
  takeTrial(): number | null {
    const trial = this.#trial;
    this.#trial = null;
    return trial;
  }

  /**
   * Gives the lease back. A trial that nobody took an answer from is open again, so that a client
   * which went away, or a fault of our own, cannot keep the backend ejected.
   */
  release(): void {
    const trial = this.takeTrial();
    if (trial !== null) this.#counters.reopenTrial(this.row, trial);
    this.#lease.release();
  }
}
