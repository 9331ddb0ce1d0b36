import { censusLength, ConnectionCensus } from "../pool/connection-census.ts";
import { Counters, countersLength, type CountersShape } from "../pool/counters.ts";
import { PULSE_WORDS, WorkerPulse } from "../pool/worker-pulse.ts";
import { regionLength } from "../telemetry/metrics/region.ts";

/** What master and workers share, one behind the other in one piece of memory. */
export interface WorkerMemory {
  /** Of four bytes. */
  readonly words: number;
  counters(memory: Int32Array): Counters;
  /** `key`: see `ConnectionCensus`. */
  census(memory: Int32Array, key: string): ConnectionCensus;
  /** By which the master sees that a worker lives, and what it is busy with. */
  pulse(memory: Int32Array, worker: number): WorkerPulse;
  /** Where one worker keeps its metrics: only that worker writes there while it lives. */
  metrics(memory: Int32Array, worker: number): Int32Array;
}

export function layOutWorkerMemory(shape: CountersShape): WorkerMemory {
  // First, so that each lies on a cache line of its own.
  const counters = shape.workers * PULSE_WORDS;
  const census = counters + countersLength(shape);
  // Regions lie on eight bytes; both lengths are even.
  const regions = census + censusLength(shape.workers);
  const region = regionLength(shape.rows);
  return {
    words: regions + shape.workers * region,
    pulse: (memory, worker) => {
      const start = worker * PULSE_WORDS;
      return new WorkerPulse(memory.subarray(start, start + PULSE_WORDS));
    },
    counters: (memory) => new Counters(memory.subarray(counters, census), shape),
    census: (memory, key) =>
      new ConnectionCensus(memory.subarray(census, regions), shape.workers, key),
    metrics: (memory, worker) => {
      const start = regions + worker * region;
      return memory.subarray(start, start + region);
    },
  };
}
