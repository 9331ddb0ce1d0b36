import { hashText, mixHashes } from "./text-hash.ts";
import type { Weighted } from "./weighted.ts";

/** What a key can be brought to: found again by its id, with the load that it has. */
export interface Place extends Weighted {
  readonly id: string;
  readonly inFlight: number;
}

/**
 * Weighted rendezvous hashing, also called highest random weight: each place has a number for each key,
 * and the key goes to the lowest. D. Thaler, C. Ravishankar, "Using Name-Based Mappings to Increase Hit
 * Rates", IEEE/ACM ToN 6(1), 1998; by weight: C. Schindelhauer, G. Schomaker, "Weighted Distributed Hash
 * Tables", SPAA 2005. The number is exponentially distributed with the weight as its rate, so each place
 * has its share of the keys, and one that goes or comes moves its own keys and no others.
 *
 * Loads are bounded: nobody gets another request who has more than `bound` times its fair share of those
 * in flight; the key then goes to the next in its own order. V. Mirrokni, M. Thorup, M. Zadimoghaddam,
 * "Consistent Hashing with Bounded Loads" (arXiv 1608.01350), there with a ring.
 */
export class Rendezvous<T extends Place> {
  readonly #bound: number;
  #list: readonly T[] | null = null;
  /** The list's places: a frozen array, as a strategy is given one, is read many times slower. */
  #places: readonly T[] = [];
  /** Of the places, in their order; computing them for each pick would cost more than the pick. */
  #seeds: readonly number[] = [];

  /** `bound` is at least 1; Infinity: none. */
  constructor(bound: number) {
    this.#bound = bound;
  }

  /**
   * Null when the list is empty, or when loads change so fast that nobody seems to be within the bound.
   * A list must not change; another one may be given each time.
   */
  pick(list: readonly T[], key: string): T | null {
    if (list !== this.#list) this.#meet(list);
    const hash = hashText(key);
    const first = this.#nearest(hash);
    if (first === null || this.#bound === Infinity) return first;
    let weight = 0;
    let inFlight = 1;
    for (const place of this.#places) {
      weight += place.weight;
      inFlight += place.inFlight;
    }
    const allowed = this.#bound * inFlight;
    if (isBelow(first, allowed, weight)) return first;
    return this.#nearest(hash, (place) => isBelow(place, allowed, weight));
  }

  #meet(list: readonly T[]): void {
    this.#list = list;
    this.#places = [...list];
    this.#seeds = list.map(({ id }) => hashText(id));
  }

  #nearest(hash: number, isAllowed?: (place: T) => boolean): T | null {
    let best: T | null = null;
    let bestMixed = 0;
    let bestWeight = 0;
    for (let index = 0; index < this.#places.length; index++) {
      const place = this.#places[index] as T;
      if (isAllowed !== undefined && !isAllowed(place)) continue;
      const mixed = mixHashes(hash, this.#seeds[index] as number);
      const { weight } = place;
      // Of equal weights the order of the numbers is that of the hashes, and logarithms are dear.
      const nearer =
        weight === bestWeight
          ? mixed > bestMixed
          : distance(mixed, weight) < distance(bestMixed, bestWeight);
      if (best !== null && !nearer) continue;
      best = place;
      bestMixed = mixed;
      bestWeight = weight;
    }
    return best;
  }
}

function distance(mixed: number, weight: number): number {
  return -Math.log((mixed + 0.5) / 2 ** 32) / weight;
}

/**
 * Whether one request more is within the place's part of what is allowed to a list of that weight:
 * inFlight + 1 <= ceil(allowed * place.weight / weight), without a division that rounds.
 */
function isBelow(place: Place, allowed: number, weight: number): boolean {
  return place.inFlight * weight < allowed * place.weight;
}
