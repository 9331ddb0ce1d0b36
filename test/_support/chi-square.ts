/** Of the standard normal distribution: exceeded by one in a thousand. */
const Z = 3.0902;

/**
 * How far counts are from what was expected, in units of what chance alone exceeds once in a thousand:
 * below 1 is chance (Pearson's test). With a fixed seed the answer is always the same.
 */
export function strangeness(found: readonly number[], shares: readonly number[]): number {
  const total = found.reduce((sum, count) => sum + count, 0);
  const whole = shares.reduce((sum, share) => sum + share, 0);
  let statistic = 0;
  for (const [index, share] of shares.entries()) {
    const expected = (total * share) / whole;
    // Below five the distribution of the statistic is another one.
    if (expected < 5) throw new RangeError(`${total} are too few for the share ${share}`);
    statistic += ((found[index] ?? 0) - expected) ** 2 / expected;
  }
  return statistic / criticalValue(shares.length - 1);
}

/** Wilson and Hilferty's approximation, within 1 % from 3 degrees of freedom on. */
function criticalValue(degrees: number): number {
  if (degrees === 1) return 10.828;
  if (degrees === 2) return 13.816;
  const part = 2 / (9 * degrees);
  return degrees * (1 - part + Z * Math.sqrt(part)) ** 3;
}
