import type { StrategyPlugin } from "../src/plugin.ts";
import { weightedDraw } from "./weighted-draw.ts";

/** Any backend, with a chance in proportion to its weight, whatever the load. */
export default {
  name: "random",
  apiVersion: 1,
  description: "any backend, with a chance in proportion to its weight",
  create: (env) => ({ pick: (candidates) => weightedDraw(candidates, env.random) }),
} satisfies StrategyPlugin;
