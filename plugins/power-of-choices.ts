import { lowest } from "./lowest.ts";
import type { Weighted } from "./weighted.ts";
import { WeightedSample } from "./weighted-sample.ts";

/**
 * The power of d choices: draw d members at random, take the one with the lowest cost. M. Mitzenmacher,
 * "The Power of Two Choices in Randomized Load Balancing", IEEE TPDS 12(10), 2001: two choices shorten
 * queues exponentially over one, a third choice only by a constant factor.
 *
 * Members are drawn by weight, and of equal costs the first drawn wins, so an idle pool shares by
 * weight. With as many choices as members it is the lowest of all.
 */
export class PowerOfChoices<T extends Weighted> {
  readonly #choices: number;
  readonly #random: () => number;
  readonly #sample: WeightedSample<T>;

  /** `random` is uniform in [0, 1). */
  constructor(choices: number, random: () => number) {
    this.#choices = choices;
    this.#random = random;
    this.#sample = new WeightedSample(random);
  }

  /** Throws RangeError when the list is empty. A list must not change; another may be given each time. */
  pick(list: readonly T[], costOf: (one: T) => number): T {
    if (list.length <= this.#choices) return lowest(list, costOf, this.#random);
    const drawn = this.#sample.draw(list, this.#choices);
    let best = drawn[0] as T;
    let bestCost = costOf(best);
    for (let index = 1; index < drawn.length; index++) {
      const one = drawn[index] as T;
      const cost = costOf(one);
      if (cost >= bestCost) continue;
      best = one;
      bestCost = cost;
    }
    return best;
  }
}
