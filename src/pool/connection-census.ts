/**
 * How many connections clients have open, in total and per address, over all workers: each worker
 * writes what it has, anyone sums. Addresses are counted as in a count-min sketch (Cormode and
 * Muthukrishnan, 2005): three hashes, of which the lowest count is right unless all collide.
 */

import { hash } from "node:crypto";

/**
 * Counts per hash. With a thousand addresses one in five thousand is counted too high; with ten
 * thousand it is one in ten, by one or two.
 */
const WIDTH = 16_384;
const HASHES = 3;
/** Cell of the total; those of the addresses follow. */
const ALL = 0;
const CELLS = 1 + HASHES * WIDTH;
/** Each cell has a word for idle connections and one for busy ones. */
const WORKER_WORDS = 2 + 2 * CELLS;

/** Where an address is counted. */
export type CensusCells = readonly number[];

/** What the census counts. */
export interface CountedConnection {
  readonly cells: CensusCells;
  /** A request is under way on it. */
  readonly busy: boolean;
}

/** Words of memory for this many workers. */
export function censusLength(workers: number): number {
  return workers * WORKER_WORDS;
}

export class ConnectionCensus {
  readonly #words: Int32Array;
  readonly #workers: number;
  readonly #key: string;

  /**
   * `key` is a secret that all workers share: whoever could tell which addresses are counted together could
   * make a client's count too high. Throws RangeError when `words` is too short.
   */
  constructor(words: Int32Array, workers: number, key: string) {
    if (words.length < censusLength(workers)) {
      throw new RangeError(`a census needs ${censusLength(workers)} words, got ${words.length}`);
    }
    this.#words = words;
    this.#workers = workers;
    this.#key = key;
  }

  /** About a microsecond: to be kept by the caller. */
  cellsOf(address: string): CensusCells {
    const digest = hash("sha256", `${this.#key} ${address}`, "buffer");
    return Array.from(
      { length: HASHES },
      (_, row) => 1 + row * WIDTH + (digest.readUInt32LE(4 * row) % WIDTH),
    );
  }

  /** Open file descriptors of a worker, of whatever kind. */
  setDescriptors(worker: number, count: number): void {
    Atomics.store(this.#words, worker * WORKER_WORDS, count);
  }

  /** Over all workers: no fewer than there are connections. */
  get descriptors(): number {
    return this.#overWorkers((worker) => Atomics.load(this.#words, worker * WORKER_WORDS));
  }

  /** All connections of a worker's clients, in place of what it published before. */
  publish(worker: number, connections: Iterable<CountedConnection>): void {
    const start = this.#word(worker, ALL);
    this.#words.fill(0, start, start + 2 * CELLS);
    for (const { cells, busy } of connections) {
      this.#count(worker, ALL, busy);
      for (const cell of cells) this.#count(worker, cell, busy);
    }
  }

  get connections(): number {
    return this.#sum(ALL);
  }

  /** Connections of one address over all workers; too high only where all hashes collide. */
  connectionsOf(cells: CensusCells): number {
    return this.#sum(this.#lowest(cells));
  }

  /**
   * How many a worker should close so that all together close exactly what is above `max`: of the idle
   * ones first, wherever they are, each worker in proportion to what it has.
   */
  excess(worker: number, max: number): number {
    return this.#shareOfExcess(ALL, worker, max);
  }

  /** The same for one address. */
  excessOf(cells: CensusCells, worker: number, max: number): number {
    return this.#shareOfExcess(this.#lowest(cells), worker, max);
  }

  /** Forgets what a dead worker had. */
  returnShare(worker: number): void {
    const start = worker * WORKER_WORDS;
    this.#words.fill(0, start, start + WORKER_WORDS);
  }

  /** The one with the lowest count. */
  #lowest(cells: CensusCells): number {
    return cells.reduce((lowest, cell) => (this.#sum(cell) < this.#sum(lowest) ? cell : lowest));
  }

  #count(worker: number, cell: number, busy: boolean): void {
    Atomics.add(this.#words, this.#word(worker, cell) + Number(busy), 1);
  }

  #shareOfExcess(cell: number, worker: number, max: number): number {
    const idle = this.#overWorkers((each) => this.#idle(each, cell));
    const busy = this.#overWorkers((each) => this.#busy(each, cell));
    const excess = idle + busy - max;
    if (excess <= 0) return 0;
    const ofIdle = Math.min(excess, idle);
    return (
      this.#share(ofIdle, idle, worker, (each) => this.#idle(each, cell)) +
      this.#share(excess - ofIdle, busy, worker, (each) => this.#busy(each, cell))
    );
  }

  /** This worker's part of a count that is divided like the parts of `whole`. The parts add up. */
  #share(count: number, whole: number, worker: number, part: (worker: number) => number): number {
    if (count === 0) return 0;
    let before = 0;
    for (let each = 0; each < worker; each++) before += part(each);
    const upTo = (parts: number): number => Math.round((count * parts) / whole);
    return upTo(before + part(worker)) - upTo(before);
  }

  #sum(cell: number): number {
    return this.#overWorkers((worker) => this.#idle(worker, cell) + this.#busy(worker, cell));
  }

  #idle(worker: number, cell: number): number {
    return Atomics.load(this.#words, this.#word(worker, cell));
  }

  #busy(worker: number, cell: number): number {
    return Atomics.load(this.#words, this.#word(worker, cell) + 1);
  }

  #word(worker: number, cell: number): number {
    return worker * WORKER_WORDS + 2 + 2 * cell;
  }

  #overWorkers(count: (worker: number) => number): number {
    let sum = 0;
    for (let worker = 0; worker < this.#workers; worker++) sum += count(worker);
    return sum;
  }
}
