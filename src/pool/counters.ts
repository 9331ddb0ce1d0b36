/**
 * Per-backend cells that all processes share, over any Int32Array (mapped memory in production, a
 * plain array in tests and simulations).
 *
 * A backend has one row. In it each worker has cells that nobody else writes; what the whole
 * machine sees is their sum. Two numbers therefore never have to agree, no update is contended,
 * and what a dead worker held is returned by clearing its cells.
 */

/** Int32 words at the start of a row, shared by all. */
const GENERATION = 0;
const PROBE = 1;
const EJECTION = 2;
const CONSECUTIVE_FAILURES = 3;
const DRAINING = 4;
/** How often a trial was asked for; part of what tells one trial from another. */
const TRIALS = 5;
/** A Float64 in words 6 and 7: when the ejection ends, in milliseconds of the monotonic clock. */
const EJECTED_UNTIL = 6;
/** A Float64 in words 8 and 9: the part of its weight that the backend has during its slow start; 0: all of it. */
const WEIGHT_PART = 8;
const SHARED_WORDS = 10;

/** Int32 words per worker. */
const IN_FLIGHT = 0;
const OPEN_CONNECTIONS = 1;
const IDLE_CONNECTIONS = 2;
/** Float64s in words 4-5 and 6-7: totals that an Int32 would overflow within days. */
const REQUESTS = 4;
const FAILURES = 6;
const WORKER_WORDS = 8;

export const PROBE_UNKNOWN = 0;
export const PROBE_HEALTHY = 1;
export const PROBE_UNHEALTHY = 2;
export type ProbeState = typeof PROBE_UNKNOWN | typeof PROBE_HEALTHY | typeof PROBE_UNHEALTHY;

/** Not ejected. */
export const EJECTION_NONE = 0;
/** Ejected until its time. */
export const EJECTION_ON = 1;
/** Its time is over: one request may try it. */
export const EJECTION_TRIAL_OPEN = 2;
/** This or above: one request is trying it, and the state is the number of that trial (see `takeTrial`). */
export const EJECTION_TRIAL_TAKEN = 16;

export interface CountersShape {
  readonly rows: number;
  readonly workers: number;
}

/** Int32 words needed for a shape. */
export function countersLength(shape: CountersShape): number {
  return shape.rows * rowWords(shape);
}

function rowWords(shape: CountersShape): number {
  return SHARED_WORDS + shape.workers * WORKER_WORDS;
}

export class Counters {
  readonly shape: CountersShape;
  readonly #cells: Int32Array;
  readonly #floats: Float64Array;
  readonly #rowWords: number;

  /** Throws RangeError when `cells` is too short or not aligned to 8 bytes. */
  constructor(cells: Int32Array, shape: CountersShape) {
    if (cells.length < countersLength(shape)) {
      throw new RangeError(`counters need ${countersLength(shape)} words, got ${cells.length}`);
    }
    this.shape = shape;
    this.#cells = cells;
    this.#floats = new Float64Array(cells.buffer, cells.byteOffset, cells.length >> 1);
    this.#rowWords = rowWords(shape);
  }

  /** Requests in flight at the backend, over all workers. */
  inFlight(row: number): number {
    return this.#sum(row, IN_FLIGHT);
  }

  /** Adds to this worker's share and returns the sum over all workers. */
  addInFlight(row: number, worker: number, delta: 1 | -1): number {
    const cell = this.#workerCell(row, worker) + IN_FLIGHT;
    Atomics.add(this.#cells, cell, delta);
    return this.inFlight(row);
  }

  setConnections(row: number, worker: number, open: number, idle: number): void {
    const cell = this.#workerCell(row, worker);
    Atomics.store(this.#cells, cell + OPEN_CONNECTIONS, open);
    Atomics.store(this.#cells, cell + IDLE_CONNECTIONS, idle);
  }

  openConnections(row: number): number {
    return this.#sum(row, OPEN_CONNECTIONS);
  }

  idleConnections(row: number): number {
    return this.#sum(row, IDLE_CONNECTIONS);
  }

  /** Attempts started, over all workers. */
  requests(row: number): number {
    return this.#sumFloat(row, REQUESTS);
  }

  countRequest(row: number, worker: number): void {
    this.#increment(row, worker, REQUESTS);
  }

  /** Attempts that count for ejection, over all workers. */
  failures(row: number): number {
    return this.#sumFloat(row, FAILURES);
  }

  countFailure(row: number, worker: number): void {
    this.#increment(row, worker, FAILURES);
  }

  /** Counts failures in a row (over all workers) and returns how many there are now. */
  addConsecutiveFailures(row: number, count: number): number {
    return Atomics.add(this.#cells, this.#row(row) + CONSECUTIVE_FAILURES, count) + count;
  }

  /** Returns how many there were. */
  clearConsecutiveFailures(row: number): number {
    const cell = this.#row(row) + CONSECUTIVE_FAILURES;
    // Nearly always 0 already: a load does not take the cache line away from the other workers.
    if (Atomics.load(this.#cells, cell) === 0) return 0;
    return Atomics.exchange(this.#cells, cell, 0);
  }

  consecutiveFailures(row: number): number {
    return Atomics.load(this.#cells, this.#row(row) + CONSECUTIVE_FAILURES);
  }

  probe(row: number): ProbeState {
    return Atomics.load(this.#cells, this.#row(row) + PROBE) as ProbeState;
  }

  setProbe(row: number, state: ProbeState): void {
    Atomics.store(this.#cells, this.#row(row) + PROBE, state);
  }

  ejection(row: number): number {
    return Atomics.load(this.#cells, this.#row(row) + EJECTION);
  }

  setEjection(row: number, state: number, untilMs: number): void {
    this.#floats[(this.#row(row) + EJECTED_UNTIL) >> 1] = untilMs;
    Atomics.store(this.#cells, this.#row(row) + EJECTION, state);
  }

  /** Milliseconds of the monotonic clock; 0 when never ejected. */
  ejectedUntil(row: number): number {
    return this.#floats[(this.#row(row) + EJECTED_UNTIL) >> 1] ?? 0;
  }

  /** Moves the ejection state on, unless another process was quicker. Returns whether it did. */
  changeEjection(row: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.#cells, this.#row(row) + EJECTION, from, to) === from;
  }

  /**
   * Takes the trial that is open, for one request of this worker. Returns the trial's number, null when another
   * was quicker. The number names this trial and no other: a verdict that comes late, from a worker that has died
   * since, must not decide the next one. It holds the worker, so that `returnShare` finds what a dead one had.
   */
  takeTrial(row: number, worker: number): number | null {
    const { workers } = this.shape;
    const count = Atomics.add(this.#cells, this.#row(row) + TRIALS, 1) >>> 0;
    const different = Math.floor((0x7fff_ffff - EJECTION_TRIAL_TAKEN) / workers);
    const trial = EJECTION_TRIAL_TAKEN + (count % different) * workers + worker;
    return this.changeEjection(row, EJECTION_TRIAL_OPEN, trial) ? trial : null;
  }

  /** Another request may take it, unless it has been decided or returned since. */
  reopenTrial(row: number, trial: number): void {
    this.changeEjection(row, trial, EJECTION_TRIAL_OPEN);
  }

  /** Of the backend's weight, above 0; 1 unless it is in its slow start. */
  weightPart(row: number): number {
    // 0 in a row that nobody has written to.
    return this.#floats[(this.#row(row) + WEIGHT_PART) >> 1] || 1;
  }

  setWeightPart(row: number, part: number): void {
    this.#floats[(this.#row(row) + WEIGHT_PART) >> 1] = part;
  }

  draining(row: number): boolean {
    return Atomics.load(this.#cells, this.#row(row) + DRAINING) !== 0;
  }

  setDraining(row: number, draining: boolean): void {
    Atomics.store(this.#cells, this.#row(row) + DRAINING, draining ? 1 : 0);
  }

  /** Another one once the row's backend is removed: whoever still holds on to that knows it by this. */
  generation(row: number): number {
    return Atomics.load(this.#cells, this.#row(row) + GENERATION);
  }

  /** Nothing in flight and no connection open: the row may be given to another backend. */
  isQuiet(row: number): boolean {
    return this.#sum(row, IN_FLIGHT) === 0 && this.#sum(row, OPEN_CONNECTIONS) === 0;
  }

  /**
   * The row's backend is removed. A lease that a worker takes there from now on is given back, because
   * the worker looks at the generation after it has added: either it sees this, or we see what it holds.
   */
  endRow(row: number): void {
    Atomics.add(this.#cells, this.#row(row) + GENERATION, 1);
  }

  /**
   * Clears a quiet row for a new backend. What workers have in flight and open stays: it is nothing, but for
   * a lease that one is about to give back. So do the numbers of trials: a verdict about the old backend
   * may still be on its way.
   */
  startRow(row: number): void {
    this.forgetState(row);
    this.#floats[(this.#row(row) + EJECTED_UNTIL) >> 1] = 0;
    for (let worker = 0; worker < this.shape.workers; worker++) {
      const cell = this.#workerCell(row, worker);
      this.#floats[(cell + REQUESTS) >> 1] = 0;
      this.#floats[(cell + FAILURES) >> 1] = 0;
    }
  }

  /** As if nobody had ever probed, ejected or drained the backend; what workers count there stays. */
  forgetState(row: number): void {
    const start = this.#row(row);
    for (const field of [PROBE, EJECTION, CONSECUTIVE_FAILURES, DRAINING]) {
      Atomics.store(this.#cells, start + field, 0);
    }
    this.setWeightPart(row, 1);
  }

  /** Gives back what a dead worker held. Its totals stay. A trial that it had taken is open again. */
  returnShare(worker: number): void {
    for (let row = 0; row < this.shape.rows; row++) {
      const cell = this.#workerCell(row, worker);
      Atomics.store(this.#cells, cell + IN_FLIGHT, 0);
      Atomics.store(this.#cells, cell + OPEN_CONNECTIONS, 0);
      Atomics.store(this.#cells, cell + IDLE_CONNECTIONS, 0);
      const state = this.ejection(row);
      if (state < EJECTION_TRIAL_TAKEN) continue;
      if ((state - EJECTION_TRIAL_TAKEN) % this.shape.workers === worker) {
        this.reopenTrial(row, state);
      }
    }
  }

  #row(row: number): number {
    if (row < 0 || row >= this.shape.rows) throw new RangeError(`no counters row ${row}`);
    return row * this.#rowWords;
  }

  #workerCell(row: number, worker: number): number {
    if (worker < 0 || worker >= this.shape.workers)
      throw new RangeError(`no worker cell ${worker}`);
    return this.#row(row) + SHARED_WORDS + worker * WORKER_WORDS;
  }

  #sum(row: number, field: number): number {
    let sum = 0;
    let cell = this.#row(row) + SHARED_WORDS + field;
    for (let worker = 0; worker < this.shape.workers; worker++, cell += WORKER_WORDS) {
      sum += Atomics.load(this.#cells, cell);
    }
    return sum;
  }

  #sumFloat(row: number, field: number): number {
    let sum = 0;
    let cell = (this.#row(row) + SHARED_WORDS + field) >> 1;
    for (let worker = 0; worker < this.shape.workers; worker++, cell += WORKER_WORDS >> 1) {
      sum += this.#floats[cell] ?? 0;
    }
    return sum;
  }

  #increment(row: number, worker: number, field: number): void {
    const cell = (this.#workerCell(row, worker) + field) >> 1;
    this.#floats[cell] = (this.#floats[cell] ?? 0) + 1;
  }
}
