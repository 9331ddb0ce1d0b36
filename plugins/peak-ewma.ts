import type { Backend, StrategyDefinition } from "../src/plugin.ts";
import { latencyHooks } from "./latency-hooks.ts";
import { type LatencyOptions, parseLatencyOptions } from "./latency-options.ts";
import { PowerOfChoices } from "./power-of-choices.ts";
import { ResponseTimes } from "./response-times.ts";

/**
 * Of two backends drawn by weight, the one that should answer first: expected time to the first byte,
 * times the requests in flight, for its weight. The default of Finagle's and Linkerd's balancers;
 * `response-times.ts` says where it differs.
 *
 * Slow backends are noticed at the first slow answer, not when requests have piled up: in Buoyant's
 * test of 2016, where 1 of 11 backends takes 2 s for half a minute and clients wait 1 s, 99.9 % of
 * requests succeed; with least connections 99.5 %, with round robin 95.5 %.
 */
export default {
  name: "peak-ewma",
  apiVersion: 1,
  description: "of two backends drawn at random, the one that should answer first",
  parseOptions: parseLatencyOptions,
  create(env) {
    const times = new ResponseTimes(env, { peak: true });
    const choices = new PowerOfChoices<Backend>(2, env.random);
    const costOf = (backend: Backend): number => times.costOf(backend);
    return {
      ...latencyHooks(times, env.options),
      pick(candidates) {
        times.readClock();
        return choices.pick(candidates, costOf);
      },
    };
  },
} satisfies StrategyDefinition<LatencyOptions>;
