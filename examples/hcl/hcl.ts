// leastwise serve -c leastwise.config.json
//
// Hot-cold lexicographic: backends with many requests in flight are hot and out of the question; of the
// cold ones the fastest is picked. Shows a pick that looks at all candidates together.
import { type Backend, defineStrategy } from "leastwise";
import { createLatency } from "./latency.ts";
import { parseOptions } from "./options.ts";

export default defineStrategy({
  name: "hcl",
  apiVersion: 1,
  description: "the fastest backend that is not among the busiest",
  parseOptions,
  create(env) {
    const { options, random, now } = env;
    const latency = createLatency(env);
    // Kept from pick to pick: a pick allocates nothing.
    const sample: Backend[] = [];
    const loads: number[] = [];

    function draw(candidates: readonly Backend[]): void {
      sample.length = 0;
      if (candidates.length <= options.sample) {
        for (const backend of candidates) sample.push(backend);
        return;
      }
      while (sample.length < options.sample) {
        const backend = candidates[Math.floor(random() * candidates.length)];
        if (backend !== undefined && !sample.includes(backend)) sample.push(backend);
      }
    }

    /** The load above which a backend is hot. At least one is cold. */
    function findLimit(): number {
      loads.length = 0;
      for (const backend of sample) loads.push(loadOf(backend));
      loads.sort((one, other) => one - other);
      return loads[Math.floor(options.quantile * (loads.length - 1))] ?? Infinity;
    }

    return {
      ...latency.hooks,
      pick(candidates) {
        draw(candidates);
        const limit = findLimit();
        // Once, not for each: equal ones must come out equal.
        const time = now();
        let best: Backend | null = null;
        let bestMs = Infinity;
        let ties = 0;
        for (const backend of sample) {
          if (loadOf(backend) > limit) continue;
          const ms = latency.expectedMs(backend, time);
          if (ms > bestMs) continue;
          // By lot among equals, or everybody's first request goes to the same backend.
          ties = ms === bestMs ? ties + 1 : 1;
          if (random() * ties < 1) best = backend;
          bestMs = ms;
        }
        return best;
      },
    };
  },
});

function loadOf(backend: Backend): number {
  return backend.inFlight / backend.weight;
}
