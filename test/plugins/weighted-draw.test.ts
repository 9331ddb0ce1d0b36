import { describe, expect, test } from "bun:test";
import type { Weighted } from "../../plugins/weighted.ts";
import { weightedDraw } from "../../plugins/weighted-draw.ts";

const light = { weight: 1 };
const heavy = { weight: 3 };

describe("a weighted draw", () => {
  test("takes only the first so many of a list", () => {
    expect(weightedDraw([light, heavy], () => 0.9999, 1)).toBe(light);
    expect(() => weightedDraw([light], () => 0, 0)).toThrow(RangeError);
  });

  test("gives each a part of [0, 1) as long as its weight says", () => {
    expect(weightedDraw([light, heavy], () => 0)).toBe(light);
    expect(weightedDraw([light, heavy], () => 0.2499)).toBe(light);
    expect(weightedDraw([light, heavy], () => 0.25)).toBe(heavy);
    expect(weightedDraw([light, heavy], () => 0.9999)).toBe(heavy);
  });

  test("ends with the last when rounding leaves something over", () => {
    const last: Weighted = { weight: 0.3 };
    // Never 1, but it is here what rounding makes of it.
    expect(weightedDraw([{ weight: 0.1 }, { weight: 0.2 }, last], () => 1)).toBe(last);
  });
});
