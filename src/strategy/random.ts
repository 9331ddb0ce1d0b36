/**
 * Uniform numbers in [0, 1) that the seed decides: the same seed gives the same numbers on every
 * machine, so that a simulation can be repeated. Not for secrets.
 */
export function createRandom(seed: number): () => number {
  const next = xoshiro128(spread(seed));
  return () => next() / 2 ** 32;
}

/** Four words of state, not all 0. */
export type RandomState = readonly [number, number, number, number];

/**
 * xoshiro128** 1.1 by David Blackman and Sebastiano Vigna (https://prng.di.unimi.it/xoshiro128starstar.c):
 * uniform 32-bit numbers, period 2^128 - 1.
 */
export function xoshiro128(state: RandomState): () => number {
  let [a, b, c, d] = state;
  return () => {
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotateLeft(d, 11);
    return result;
  };
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/** Seeds that differ in one bit, workers' numbers for example, must not give similar states. */
function spread(seed: number): RandomState {
  // Both halves count, so that seeds above 2^32 (a time in milliseconds) stay apart.
  let word = (seed ^ Math.imul(Math.floor(seed / 2 ** 32), 0x85ebca6b)) | 0;
  /** SplitMix32: Weyl sequence, then the finalizer of MurmurHash3. */
  function next(): number {
    word = (word + 0x9e3779b9) | 0;
    let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return mixed ^ (mixed >>> 16);
  }
  return [next(), next(), next(), next()];
}
