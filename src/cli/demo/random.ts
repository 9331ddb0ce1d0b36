/** Uniform in [0, 1). */
export type Random = () => number;

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
