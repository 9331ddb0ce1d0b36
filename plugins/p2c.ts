import type { Backend, StrategyDefinition } from "../src/plugin.ts";
import { OptionReader } from "./option-reader.ts";
import { PowerOfChoices } from "./power-of-choices.ts";

export interface P2cOptions {
  /** How many backends are drawn for a pick. */
  readonly choices: number;
}

/**
 * The power of two choices: draw two backends by weight, take the one with fewer requests in flight
 * for its weight. See `power-of-choices.ts` for the source.
 *
 * A pick costs the same however large the pool is, and where many balancers count only their own
 * requests, or see each other's late, it does not send all of them to the same backend. A backend that
 * fails fast gets at most the requests that draw it: a share of 2 in n, where least connections sends
 * it nearly everything.
 */
export default {
  name: "p2c",
  apiVersion: 1,
  description: "of two backends drawn at random, the one with fewer requests in flight",
  parseOptions(raw: unknown): P2cOptions {
    const reader = new OptionReader(raw, ["choices"]);
    return reader.finish({
      choices: reader.wholeNumber("choices", { fallback: 2, min: 2, max: 100 }),
    });
  },
  create({ options, random }) {
    const choices = new PowerOfChoices<Backend>(options.choices, random);
    return { pick: (candidates) => choices.pick(candidates, loadOf) };
  },
} satisfies StrategyDefinition<P2cOptions>;

function loadOf(backend: Backend): number {
  return backend.inFlight / backend.weight;
}
