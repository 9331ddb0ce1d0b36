import { hashText } from "../../../plugins/text-hash.ts";

/**
 * Some of a pool's backends by their places in its list. Four to a character: the ids of hundreds would
 * be longer than all else that is told of a request.
 */
export interface CandidateMask {
  /** Of the list. A reload brings another one, not to everybody at the same moment. */
  readonly order: number;
  /** The low four bits of each character; the first backend is the lowest of the first. */
  readonly places: string;
}

/** "0": from here up to "?" nothing has to be escaped in JSON. */
const NOBODY = 0x30;

const decoder = new TextDecoder();

/** 53 bits of the ids in their order: two lists with the same number are the same. */
export function orderOf(backends: readonly { readonly id: string }[]): number {
  const ids = JSON.stringify(backends.map(({ id }) => id));
  return hashText(ids) * 2 ** 21 + (hashText(ids, 1) >>> 11);
}

/** `some` are of `all`, in the same order. */
export function placesOf<T>(all: readonly T[], some: readonly T[]): string {
  const characters = new Uint8Array(Math.ceil(all.length / 4)).fill(NOBODY);
  let next = 0;
  for (let place = 0; place < all.length && next < some.length; place++) {
    if (all[place] !== some[next]) continue;
    next++;
    characters[place >> 2] = (characters[place >> 2] ?? NOBODY) | (1 << (place & 3));
  }
  return decoder.decode(characters);
}

/** What `placesOf` was given as `some`, of the same list. */
export function atPlaces<T>(all: readonly T[], places: string): T[] {
  return all.filter((_, place) => ((places.charCodeAt(place >> 2) >> (place & 3)) & 1) === 1);
}
