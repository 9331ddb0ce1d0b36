import type { FakeClock } from "../testing-api.ts";

/** Time that passes only when somebody says so. */
export function fakeClock(startMs = 0): FakeClock {
  let nowMs = startMs;
  return Object.freeze({
    now: () => nowMs,
    advance(ms: number) {
      if (!Number.isFinite(ms) || ms < 0) {
        throw new RangeError(`advance was given ${ms}, allowed milliseconds from 0 up`);
      }
      nowMs += ms;
    },
  });
}
