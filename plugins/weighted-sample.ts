import type { Weighted } from "./weighted.ts";

/** Draws of one member that come to nothing, before the whole list is looked at. */
const MAX_TRIES = 16;

/**
 * Draws different members of a list, each next one with a chance in proportion to its weight among
 * those left. Nearly always without looking at the whole list: a member is drawn evenly and kept with
 * the chance weight / heaviest weight (rejection sampling), which is exact. Where weights are so far
 * apart that this takes too long, one pass over the list is.
 *
 * Different members matter: drawing the same one twice is no choice at all, and in a pool of three it
 * happens in a third of all picks.
 */
export class WeightedSample<T extends Weighted> {
  readonly #random: () => number;
  /** Kept from draw to draw, so that drawing allocates nothing. */
  readonly #drawn: T[] = [];
  #list: readonly T[] | null = null;
  #heaviest = 0;

  /** `random` is uniform in [0, 1). */
  constructor(random: () => number) {
    this.#random = random;
  }

  /**
   * `count` different members, in the order in which they were drawn. The answer is good until the next
   * draw. A list must not change; another one may be given each time. Throws RangeError when it is
   * shorter than `count`.
   */
  draw(list: readonly T[], count: number): readonly T[] {
    if (list.length < count) throw new RangeError(`cannot draw ${count} of ${list.length}`);
    if (list !== this.#list) this.#meet(list);
    this.#drawn.length = 0;
    while (this.#drawn.length < count) this.#drawn.push(this.#drawOne(list));
    return this.#drawn;
  }

  #meet(list: readonly T[]): void {
    this.#list = list;
    this.#heaviest = 0;
    for (const { weight } of list) if (weight > this.#heaviest) this.#heaviest = weight;
  }

  #drawOne(list: readonly T[]): T {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const one = list[Math.floor(this.#random() * list.length)] as T;
      if (this.#drawn.includes(one)) continue;
      const { weight } = one;
      // A weight may have grown since the list was met.
      if (weight >= this.#heaviest) this.#heaviest = weight;
      else if (this.#random() * this.#heaviest >= weight) continue;
      return one;
    }
    return this.#drawFromAll(list);
  }

  #drawFromAll(list: readonly T[]): T {
    let total = 0;
    for (const one of list) if (!this.#drawn.includes(one)) total += one.weight;
    let left = this.#random() * total;
    let last: T | undefined;
    for (const one of list) {
      if (this.#drawn.includes(one)) continue;
      last = one;
      left -= one.weight;
      if (left < 0) break;
    }
    // Rounding may leave something over: then it is the last one. There is one: less than all are drawn.
    return last as T;
  }
}
