import type { Weighted } from "./weighted.ts";

/**
 * The member of a list with the lowest cost. Those that share it have a chance in proportion to their
 * weight, in one pass over the list (Vitter's reservoir sampling with a reservoir of one): a tie that
 * goes to the first of the list makes many balancers hit the same backend. Throws RangeError when the
 * list is empty.
 */
export function lowest<T extends Weighted>(
  list: readonly T[],
  costOf: (one: T) => number,
  random: () => number,
): T {
  let best: T | undefined;
  let bestCost = Infinity;
  let tied = 0;
  for (let index = 0; index < list.length; index++) {
    const one = list[index] as T;
    const cost = costOf(one);
    if (best === undefined || cost < bestCost) {
      best = one;
      bestCost = cost;
      tied = one.weight;
    } else if (cost === bestCost) {
      tied += one.weight;
      if (random() * tied < one.weight) best = one;
    }
  }
  if (best === undefined) throw new RangeError("nobody to choose from");
  return best;
}
