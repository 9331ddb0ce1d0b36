import type { Backend } from "leastwise";

/** Lower is nearer. All workers come to the same answer without talking to each other (rendezvous hashing). */
export function distance(prefix: string, { id, weight }: Backend): number {
  const uniform = (hash(`${prefix} ${id}`) + 0.5) / 2 ** 32;
  return -Math.log(uniform) / weight;
}

/** FNV-1a, and the finalizer of MurmurHash3 because texts that are alike must not be neighbours. */
function hash(text: string): number {
  let word = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    word = Math.imul(word ^ text.charCodeAt(index), 0x01000193);
  }
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return (word ^ (word >>> 16)) >>> 0;
}
