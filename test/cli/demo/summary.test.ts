import { describe, expect, test } from "bun:test";
import type { Arrivals } from "../../../src/cli/demo/arrivals.ts";
import type { LoadResult, Outcome } from "../../../src/cli/demo/load-generator.ts";
import { percentile, summariseGenerator, summarisePhase } from "../../../src/cli/demo/summary.ts";

const oneToHundred = Float64Array.from({ length: 100 }, (_, index) => index + 1);

describe("percentile", () => {
  test("of 1 to 100 the p50 is 50, the p99 is 99 and the highest is 100", () => {
    expect([0, 0.5, 0.99, 0.991, 1].map((fraction) => percentile(oneToHundred, fraction))).toEqual([
      1, 50, 99, 100, 100,
    ]);
  });

  test("of one value every percentile is that value", () => {
    expect([0, 0.5, 0.99].map((fraction) => percentile(Float64Array.of(7), fraction))).toEqual([
      7, 7, 7,
    ]);
  });

  test("of nothing there is none", () => {
    expect(percentile(new Float64Array(0), 0.99)).toBeNull();
  });
});

function loadOf(answers: readonly (readonly [number, Outcome, string | null])[], split: number) {
  const arrivals: Arrivals = {
    timesMs: Float64Array.from(answers, (_, index) => index),
    starts: [0, split, answers.length],
    durationMs: answers.length,
  };
  const result: LoadResult = {
    latencyMs: Float64Array.from(answers, ([latency]) => latency),
    lagMs: Float64Array.from(answers, (_, index) => index / 10),
    outcomes: answers.map(([, outcome]) => outcome),
    backends: answers.map(([, , backend]) => backend),
    connectionsOpened: 3,
    reconnects: 1,
  };
  return { arrivals, result };
}

describe("the summary of a phase", () => {
  const { arrivals, result } = loadOf(
    [
      [9999, "ok", "normal-1"],
      [10, "ok", "normal-1"],
      [30, "ok", "degraded-1"],
      [20, "ok", "normal-7"],
      [1, "backend_502", "degraded-3"],
      [2, "proxy_503", null],
      [5000, "timeout", null],
      [3, "overflow", null],
    ],
    1,
  );
  const spike = summarisePhase(arrivals, 1, result);

  test("counts every request of its phase exactly once", () => {
    expect(spike.sent).toBe(7);
    expect(spike.ok + spike.errors.total).toBe(spike.sent);
    expect(spike.errors.byKind).toEqual({ backend_502: 1, proxy_503: 1, timeout: 1, overflow: 1 });
    expect(spike.errors.rate).toBeCloseTo(4 / 7);
  });

  test("latency is that of good answers in this phase only", () => {
    expect(spike.latencyMs).toEqual({ p50: 20, p90: 30, p99: 30, max: 30 });
  });

  test("refusals count for the backend that refused, and what nobody answered is kept apart", () => {
    expect(spike.share.normal).toEqual({ answers: 2, fraction: 2 / 7 });
    expect(spike.share.degraded).toEqual({ answers: 2, fraction: 2 / 7 });
    expect(spike.unanswered).toBe(3);
  });

  test("without a good answer there is no latency", () => {
    const failed = loadOf([[1, "connect", null]], 0);
    expect(summarisePhase(failed.arrivals, 1, failed.result).latencyMs).toBeNull();
  });

  test("the generator's lag is that of this phase, and requests it could not send are counted", () => {
    const generator = summariseGenerator(arrivals, 1, result);
    expect(generator.lagMaxMs).toBeCloseTo(0.7);
    expect(generator.notSent).toBe(1);
  });
});
