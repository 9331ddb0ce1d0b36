/** Uniform in [0, 1). */
export type Random = () => number;

/**
 * mulberry32: a small seeded generator. Statistical quality far beyond what a Poisson process needs,
 * and the same sequence on every platform, which `Math.random` cannot promise.
 */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A waiting time of a Poisson process: exponential with the given mean. */
export function exponential(random: Random, mean: number): number {
  // 1 - u is in (0, 1], so the logarithm is never that of 0.
  return -Math.log(1 - random()) * mean;
}

/** The sum of `stages` exponentials: the more stages, the less it varies (32 stages: ± 18 %). */
export function erlang(random: Random, stages: number, mean: number): number {
  let total = 0;
  for (let stage = 0; stage < stages; stage++) total += exponential(random, mean / stages);
  return total;
}
