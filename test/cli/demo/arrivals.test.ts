import { describe, expect, test } from "bun:test";
import { createArrivals } from "../../../src/cli/demo/arrivals.ts";
import type { Phase } from "../../../src/cli/demo/scenario.ts";

const phases: readonly Phase[] = [
  { name: "baseline", rate: 300, durationMs: 20_000 },
  { name: "spike", rate: 850, durationMs: 100_000 },
];

describe("arrivals of a Poisson process", () => {
  test("the same seed gives the same times", () => {
    expect(createArrivals(phases, 7)).toEqual(createArrivals(phases, 7));
  });

  test("another seed gives other times", () => {
    expect(createArrivals(phases, 8).timesMs[0]).not.toBe(createArrivals(phases, 7).timesMs[0]);
  });

  test("times ascend, and every phase holds its own", () => {
    const { timesMs, starts, durationMs } = createArrivals(phases, 1);
    expect(timesMs).toEqual(timesMs.slice().sort());
    expect(durationMs).toBe(120_000);
    const [baseline, spike, end] = starts as [number, number, number];
    expect([baseline, end]).toEqual([0, timesMs.length]);
    expect(timesMs[spike - 1]).toBeLessThan(20_000);
    expect(timesMs[spike]).toBeGreaterThanOrEqual(20_000);
    expect(timesMs[end - 1]).toBeLessThan(120_000);
  });

  test("the number of requests per phase is within four standard deviations of its rate", () => {
    const { starts } = createArrivals(phases, 1);
    const [, spike, end] = starts as [number, number, number];
    expect(Math.abs(spike - 6000)).toBeLessThan(4 * Math.sqrt(6000));
    expect(Math.abs(end - spike - 85_000)).toBeLessThan(4 * Math.sqrt(85_000));
  });

  test("gaps vary as much as they are long, which a fixed beat would not", () => {
    const { timesMs, starts } = createArrivals(phases, 1);
    const spike = timesMs.slice(starts[1], starts[2]);
    const gaps = Array.from(spike.subarray(1), (time, index) => time - (spike[index] ?? 0));
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length;
    expect(Math.sqrt(variance) / mean).toBeCloseTo(1, 1);
  });
});
