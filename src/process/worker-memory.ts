import { censusLength, ConnectionCensus } from "../pool/connection-census.ts";
import { Counters, countersLength, type CountersShape } from "../pool/counters.ts";
import { regionLength } from "../telemetry/metrics/region.ts";

/** What master and workers share, one behind the other in one piece of memory. */
export interface WorkerMemory {
  /** Of four bytes. */
  readonly words: number;
  counters(memory: Int32Array): Counters;
  /** `key`: see `ConnectionCensus`. */
  census(memory: Int32Array, key: string): ConnectionCensus;
  /** Where one worker keeps its metrics: only that worker writes there while it lives. */
  metrics(memory: Int32Array, worker: number): Int32Array;
}

export function layOutWorkerMemory(shape: CountersShape): WorkerMemory {
  const census = countersLength(shape);
  // Regions lie on eight bytes; both lengths are even.
  const regions = census + censusLength(shape.workers);
  const region = regionLength(shape.rows);
  return {
    words: regions + shape.workers * region,
    counters: (memory) => new Counters(memory.subarray(0, census), shape),
    census: (memory, key) =>
      new ConnectionCensus(memory.subarray(census, regions), shape.workers, key),
    metrics: (memory, worker) => {
      const start = regions + worker * region;
      return memory.subarray(start, start + region);
    },
  };
}
