import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { RetryBudget } from "../../src/balance/retry-budget.ts";

const WINDOW_MS = 10_000;
const FLOOR = 30;

function newBudget(fraction = 0.2, startMs = 1_000_000) {
  const clock = { nowMs: startMs };
  return { clock, budget: new RetryBudget({ fraction, now: () => clock.nowMs }) };
}

function retries(budget: RetryBudget, wanted: number): number {
  let granted = 0;
  for (let i = 0; i < wanted; i++) if (budget.tryRetry()) granted++;
  return granted;
}

describe("retry budget", () => {
  test("without traffic the floor of 3 a second over the window is there, and no more", () => {
    const { budget } = newBudget();
    expect(retries(budget, 100)).toBe(FLOOR);
  });

  test("every request earns its fraction", () => {
    const { budget } = newBudget(0.2);
    for (let i = 0; i < 1000; i++) budget.request();
    expect(retries(budget, 1000)).toBe(200);
  });

  test("a fraction of 0 leaves the floor", () => {
    const { budget } = newBudget(0);
    for (let i = 0; i < 1000; i++) budget.request();
    expect(retries(budget, 1000)).toBe(FLOOR);
  });

  test("requests and retries of more than 10 seconds ago are forgotten", () => {
    const { budget, clock } = newBudget();
    for (let i = 0; i < 1000; i++) budget.request();
    expect(retries(budget, 100)).toBe(100);
    clock.nowMs += WINDOW_MS - 1001;
    expect(retries(budget, 1000)).toBe(100);
    clock.nowMs += WINDOW_MS;
    expect(retries(budget, 1000)).toBe(FLOOR);
  });

  test("after a pause of any length the window is empty", () => {
    for (const pauseMs of [WINDOW_MS, 13_700, 1e6, 1e9]) {
      const { budget, clock } = newBudget();
      for (let i = 0; i < 1000; i++) budget.request();
      clock.nowMs += pauseMs;
      expect(retries(budget, 1000)).toBe(FLOOR);
    }
  });

  test("when every backend fails they see 1.2 times the requests, not 2 times", () => {
    const { budget, clock } = newBudget(0.2);
    const seconds = 60;
    let sent = 0;
    let requests = 0;
    for (let ms = 0; ms < seconds * 1000; ms++, clock.nowMs++) {
      budget.request();
      requests += 1;
      sent += 1 + retries(budget, 1);
    }
    // The floor is all there is for the first 150 requests.
    expect(sent).toBeLessThanOrEqual(requests * 1.2 + FLOOR);
    expect(sent).toBeGreaterThan(requests * 1.19);
  });

  test("property: over any traffic, retries are at most the fraction of the requests plus the floor", () => {
    const step = fc.record({
      waitMs: fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 25_000 })),
      requests: fc.integer({ min: 0, max: 40 }),
      wanted: fc.integer({ min: 0, max: 60 }),
    });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: 0, max: 20_000 }),
        (steps, fraction, startMs) => {
          const { budget, clock } = newBudget(fraction, startMs);
          let requests = 0;
          let granted = 0;
          for (const { waitMs, requests: arriving, wanted } of steps) {
            clock.nowMs += waitMs;
            for (let i = 0; i < arriving; i++) budget.request();
            requests += arriving;
            granted += retries(budget, wanted);
            const windows = Math.ceil((clock.nowMs - startMs) / WINDOW_MS) + 2;
            expect(granted).toBeLessThanOrEqual(fraction * requests + FLOOR * windows + 1e-6);
          }
        },
      ),
      { seed: 20_261_122 },
    );
  });
});
