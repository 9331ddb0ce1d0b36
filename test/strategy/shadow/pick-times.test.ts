import { expect, test } from "bun:test";
import { createRandom } from "../../../src/strategy/random.ts";
import { PickTimes } from "../../../src/strategy/shadow/pick-times.ts";

test("a quantile is right to a tenth, from nanoseconds to minutes", () => {
  const random = createRandom(3);
  for (const scale of [100, 5_000, 40_000_000, 30_000_000_000]) {
    const times = new PickTimes();
    const all = Array.from({ length: 5000 }, () => scale * (1 + random()));
    for (const ns of all) times.add(ns);
    all.sort((one, two) => one - two);
    for (const share of [0.5, 0.99]) {
      const exactMs = (all[Math.ceil(share * all.length) - 1] ?? 0) / 1e6;
      expect(Math.abs((times.quantileMs(share) ?? 0) / exactMs - 1)).toBeLessThan(0.1);
    }
    expect(times.sumMs).toBeCloseTo(all.reduce((sum, ns) => sum + ns, 0) / 1e6);
  }
});

test("of nothing there is no quantile, and a clock that stands still breaks nothing", () => {
  const times = new PickTimes();
  expect(times.quantileMs(0.5)).toBeNull();
  times.add(0);
  times.add(-5);
  times.add(1e15);
  expect(times.quantileMs(0.99)).toBeGreaterThan(1000);
  expect(times.count).toBe(3);
});
