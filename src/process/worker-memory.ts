import { censusLength, ConnectionCensus } from "../pool/connection-census.ts";
import { Counters, countersLength, type CountersShape } from "../pool/counters.ts";

/** What master and workers share, one behind the other in one piece of memory. */
export interface WorkerMemory {
  /** Of four bytes. */
  readonly words: number;
  counters(memory: Int32Array): Counters;
  census(memory: Int32Array): ConnectionCensus;
}

export function layOutWorkerMemory(shape: CountersShape): WorkerMemory {
  const start = countersLength(shape);
  const words = start + censusLength(shape.workers);
  return {
    words,
    counters: (memory) => new Counters(memory.subarray(0, start), shape),
    census: (memory) => new ConnectionCensus(memory.subarray(start, words), shape.workers),
  };
}
