/** The slow start of backends that become available: its curve, and who goes through it. */
import { beforeEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { PoolSlowStart, slowDown, weightPart } from "../../src/balance/slow-start.ts";
import {
  type Counters,
  EJECTION_NONE,
  EJECTION_ON,
  EJECTION_TRIAL_OPEN,
  PROBE_HEALTHY,
  PROBE_UNHEALTHY,
} from "../../src/pool/counters.ts";
import { newCounters } from "../_support/pools.ts";

const config = { windowMs: 10_000, minWeight: 0.1, aggression: 1 };
const NOBODY: ReadonlySet<number> = new Set();

describe("the part of its weight that a backend has", () => {
  test("grows evenly with an aggression of 1, from the least to the whole", () => {
    const at = [0, 1000, 2000, 5000, 7500, 9999, 10_000, 60_000];
    const parts = at.map((ms) => weightPart(config, ms));
    expect(parts).toEqual([0.1, 0.1, 0.2, 0.5, 0.75, 0.9999, 1, 1]);
  });

  // The figures of Envoy's formula, worked out by hand.
  test("grows faster at first with a higher aggression, more slowly with a lower one", () => {
    const steep = { ...config, aggression: 2 };
    expect(weightPart(steep, 2500)).toBeCloseTo(0.5, 12);
    expect(weightPart(steep, 6400)).toBeCloseTo(0.8, 12);
    const flat = { ...config, aggression: 0.5 };
    expect(weightPart(flat, 5000)).toBeCloseTo(0.25, 12);
    expect(weightPart(flat, 2000)).toBe(0.1);
  });

  test("has its first second counted as one: a short window begins above the least", () => {
    const short = { ...config, windowMs: 2000 };
    expect([0, 999, 1000, 1500, 2000].map((ms) => weightPart(short, ms))).toEqual([
      0.5, 0.5, 0.5, 0.75, 1,
    ]);
  });

  test("is never below the least nor above 1, and never shrinks, whatever the settings", () => {
    fc.assert(
      fc.property(
        fc.record({
          windowMs: fc.integer({ min: 2000, max: 3_600_000 }),
          minWeight: fc.double({ min: 0.001, max: 1, noNaN: true }),
          aggression: fc.double({ min: 0.1, max: 100, noNaN: true }),
        }),
        fc.array(fc.integer({ min: 0, max: 4_000_000 }), { minLength: 2, maxLength: 50 }),
        (any, times) => {
          const parts = times.toSorted((one, two) => one - two).map((ms) => weightPart(any, ms));
          for (const [index, part] of parts.entries()) {
            expect(part).toBeGreaterThanOrEqual(any.minWeight);
            expect(part).toBeLessThanOrEqual(1);
            expect(part).toBeGreaterThanOrEqual(parts[index - 1] ?? 0);
          }
        },
      ),
      { seed: 20_261_122, numRuns: 500 },
    );
  });
});

describe("a pool with a slow start", () => {
  let nowMs: number;
  let counters: Counters;

  beforeEach(() => {
    nowMs = 50_000;
    counters = newCounters(8);
  });

  function slowStart(
    joined = NOBODY,
    before: PoolSlowStart | null = null,
    rows: readonly number[] = [0, 1, 2],
  ): PoolSlowStart {
    return new PoolSlowStart({ config, counters, rows, joined, now: () => nowMs }, before);
  }

  const parts = (): number[] => [0, 1, 2].map((row) => counters.weightPart(row));

  test("begins with all of their weights: nobody is new to it", () => {
    const slow = slowStart();
    expect(parts()).toEqual([1, 1, 1]);
    expect(slow.nextDeadlineMs()).toBeNull();
    for (const row of [0, 1, 2]) counters.setProbe(row, PROBE_HEALTHY);
    slow.advance();
    expect(parts()).toEqual([1, 1, 1]);
  });

  test("slows a backend that probes find well again, from the moment that they did", () => {
    const slow = slowStart();
    counters.setProbe(1, PROBE_UNHEALTHY);
    slow.advance();
    // Whoever sees it come back before anything else has happened sees it slowed.
    expect(parts()).toEqual([1, 0.1, 1]);
    nowMs += 60_000;
    slow.advance();
    counters.setProbe(1, PROBE_HEALTHY);
    slow.advance();
    expect(parts()).toEqual([1, 0.1, 1]);
    nowMs += 4000;
    slow.advance();
    expect(parts()).toEqual([1, 0.4, 1]);
    nowMs += 6000;
    slow.advance();
    expect(parts()).toEqual([1, 1, 1]);
    expect(slow.nextDeadlineMs()).toBeNull();
  });

  test("slows a backend whose ejection ended, and begins anew when it is ejected meanwhile", () => {
    const slow = slowStart();
    const eject = (state: number): void => {
      counters.setEjection(2, state, 0);
      slow.advance();
    };
    eject(EJECTION_ON);
    eject(EJECTION_TRIAL_OPEN);
    nowMs += 1000;
    eject(EJECTION_NONE);
    nowMs += 5000;
    slow.advance();
    expect(parts()).toEqual([1, 1, 0.5]);
    eject(EJECTION_ON);
    expect(parts()).toEqual([1, 1, 0.1]);
    nowMs += 5000;
    eject(EJECTION_NONE);
    nowMs += 2000;
    slow.advance();
    expect(parts()).toEqual([1, 1, 0.2]);
  });

  test("slows a backend that the operator takes back", () => {
    const slow = slowStart();
    counters.setDraining(0, true);
    slow.advance();
    counters.setDraining(0, false);
    slow.advance();
    nowMs += 3000;
    slow.advance();
    expect(parts()).toEqual([0.3, 1, 1]);
  });

  test("slows a backend that a reload brings, and lets the others go on where they were", () => {
    const before = slowStart(NOBODY, null, [0, 1]);
    counters.setProbe(0, PROBE_UNHEALTHY);
    before.advance();
    counters.setProbe(0, PROBE_HEALTHY);
    before.advance();
    nowMs += 5000;
    slowDown(config, counters, [2]);
    expect(counters.weightPart(2)).toBe(0.1);
    const after = slowStart(new Set([2]), before);
    expect(parts()).toEqual([0.5, 1, 0.1]);
    nowMs += 4000;
    after.advance();
    expect(parts()).toEqual([0.9, 1, 0.4]);
  });

  test("that a reload brings a backend which is down: slowed once it is up", () => {
    counters.setProbe(2, PROBE_UNHEALTHY);
    const slow = slowStart(new Set([2]));
    nowMs += 60_000;
    slow.advance();
    expect(counters.weightPart(2)).toBe(0.1);
    counters.setProbe(2, PROBE_HEALTHY);
    slow.advance();
    nowMs += 2000;
    slow.advance();
    expect(counters.weightPart(2)).toBe(0.2);
  });

  test("asks to be called in steps, and exactly at the end of a window", () => {
    const slow = slowStart();
    counters.setProbe(1, PROBE_UNHEALTHY);
    slow.advance();
    expect(slow.nextDeadlineMs()).toBeNull();
    counters.setProbe(1, PROBE_HEALTHY);
    slow.advance();
    let calls = 0;
    for (let due = slow.nextDeadlineMs(); due !== null; due = slow.nextDeadlineMs()) {
      expect(due).toBeGreaterThan(nowMs);
      expect(due - nowMs).toBeLessThanOrEqual(100);
      nowMs = due;
      slow.advance();
      calls++;
    }
    expect(nowMs).toBe(60_000);
    expect(calls).toBe(100);
    expect(parts()).toEqual([1, 1, 1]);
  });

  test("leaves backends of other pools alone", () => {
    counters.setWeightPart(5, 0.7);
    const slow = slowStart();
    counters.setProbe(5, PROBE_UNHEALTHY);
    slow.advance();
    expect(counters.weightPart(5)).toBe(0.7);
  });
});

describe("a row of the counters", () => {
  test("is without a slow start for its next backend, and when its backend comes back", () => {
    const counters = newCounters(2);
    for (const row of [0, 1]) counters.setWeightPart(row, 0.3);
    counters.startRow(0);
    counters.forgetState(1);
    expect([0, 1].map((row) => counters.weightPart(row))).toEqual([1, 1]);
  });
});
