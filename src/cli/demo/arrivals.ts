import { createRandom } from "../../strategy/random.ts";
import { exponential } from "./random.ts";
import type { Phase } from "./scenario.ts";

/** When requests are due, fixed before the first one is sent: nothing that happens can slow the load down. */
export interface Arrivals {
  /** Milliseconds since the start, ascending. */
  readonly timesMs: Float64Array;
  /** Where each phase begins in `timesMs`; phase i is `[starts[i], starts[i + 1])`. One longer than the phases. */
  readonly starts: readonly number[];
  readonly durationMs: number;
}

/** A Poisson process whose rate changes from phase to phase. The same seed gives the same times. */
export function createArrivals(phases: readonly Phase[], seed: number): Arrivals {
  const random = createRandom(seed);
  const times: number[] = [];
  const starts: number[] = [];
  let phaseStart = 0;
  for (const { rate, durationMs } of phases) {
    starts.push(times.length);
    const phaseEnd = phaseStart + durationMs;
    // Starting afresh at the boundary is exact: a Poisson process has no memory.
    let time = phaseStart + exponential(random, 1000 / rate);
    while (time < phaseEnd) {
      times.push(time);
      time += exponential(random, 1000 / rate);
    }
    phaseStart = phaseEnd;
  }
  starts.push(times.length);
  return { timesMs: Float64Array.from(times), starts, durationMs: phaseStart };
}
