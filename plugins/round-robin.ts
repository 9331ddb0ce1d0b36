import type { StrategyPlugin } from "../src/plugin.ts";
import { SmoothWeighted } from "./smooth-weighted.ts";

/**
 * Every backend in turn, as often as its weight says, whatever the load: smooth weighted round
 * robin, as in nginx. Each worker takes turns on its own.
 */
export default {
  name: "round-robin",
  apiVersion: 1,
  description: "every backend in turn, as often as its weight says",
  create(env) {
    const turns = new SmoothWeighted(env.random);
    return { pick: (candidates) => turns.next(candidates) };
  },
} satisfies StrategyPlugin;
