import type { PickContext, StrategyDefinition } from "../src/plugin.ts";
import { latencyHooks } from "./latency-hooks.ts";
import { type LatencyOptions, parseLatencyOptions } from "./latency-options.ts";
import { ResponseTimes } from "./response-times.ts";

/**
 * The backend that should answer first of all: average time to the first byte, times the requests in
 * flight, for its weight.
 *
 * The same score as Traefik's `leasttime` (`pkg/server/service/loadbalancer/leasttime/leasttime.go`), without what
 * makes that one dangerous: there a backend without an answer has the average 0 and takes all traffic
 * until its first, and errors that come fast make a backend look fast. Here the first is taken for half
 * the median and gets one request at a time, and a failure counts as a very slow answer. Averages fade
 * with time and not with the number of answers, so that a backend that was slow is tried again.
 *
 * Requests in flight are part of the score because averages lag behind: without them all traffic would
 * swing to whoever was fastest a moment ago.
 */
export default {
  name: "least-time",
  apiVersion: 1,
  description: "the backend that should answer first, by average time and requests in flight",
  parseOptions: parseLatencyOptions,
  create(env) {
    const times = new ResponseTimes(env, { peak: false });
    let pick: PickContext | null = null;
    return {
      ...latencyHooks(times, env.options),
      score(backend, context) {
        // Once per pick, of which each has a context of its own.
        if (context !== pick) {
          pick = context;
          times.readClock();
        }
        return times.costOf(backend);
      },
    };
  },
} satisfies StrategyDefinition<LatencyOptions>;
