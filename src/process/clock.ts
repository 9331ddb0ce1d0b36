/**
 * Milliseconds of the machine's monotonic clock: the same in all our processes, and never set back.
 * `performance.now()` alone starts at 0 in each process.
 */
export function createClock(): () => number {
  const offset = Number(process.hrtime.bigint() / 1000n) / 1000 - performance.now();
  return () => performance.now() + offset;
}
