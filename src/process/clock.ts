/**
 * Milliseconds of a monotonic clock that starts with this process and is never set back. Times of
 * different processes do not compare: in Bun 1.4.5 `process.hrtime` starts at 0 in each, too.
 */
export function createClock(): () => number {
  return () => performance.now();
}
