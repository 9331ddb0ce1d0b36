import type { Weighted } from "./weighted.ts";

/**
 * One of the first `length` members of a list, each with a chance in proportion to its weight.
 * `random` is uniform in [0, 1). Throws RangeError when there is none.
 */
export function weightedDraw<T extends Weighted>(
  list: readonly T[],
  random: () => number,
  length: number = list.length,
): T {
  let total = 0;
  for (let index = 0; index < length; index++) total += (list[index] as T).weight;
  let left = random() * total;
  for (let index = 0; index < length; index++) {
    const one = list[index] as T;
    left -= one.weight;
    // Rounding may leave something over, because the parts of `total` were added in floating point.
    if (left < 0 || index === length - 1) return one;
  }
  throw new RangeError("nobody to draw");
}
