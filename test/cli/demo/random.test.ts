import { describe, expect, test } from "bun:test";
import { createRandom } from "../../../src/strategy/random.ts";
import { erlang } from "../../../src/cli/demo/random.ts";

describe("seeded randomness", () => {
  test("stays in [0, 1) and fills it evenly", () => {
    const random = createRandom(1);
    const tenths = Array.from({ length: 10 }, () => 0);
    for (let draw = 0; draw < 100_000; draw++) {
      const tenth = Math.floor(random() * 10);
      expect(tenths[tenth]).toBeDefined();
      tenths[tenth] = (tenths[tenth] ?? 0) + 1;
    }
    for (const count of tenths) expect(Math.abs(count - 10_000)).toBeLessThan(400);
  });

  test("Erlang-32 with mean 100 has that mean and a standard deviation of 100 / √32", () => {
    const random = createRandom(2);
    const draws = Array.from({ length: 20_000 }, () => erlang(random, 32, 100));
    const mean = draws.reduce((sum, draw) => sum + draw, 0) / draws.length;
    const variance = draws.reduce((sum, draw) => sum + (draw - mean) ** 2, 0) / draws.length;
    expect(Math.abs(mean - 100)).toBeLessThan(0.6);
    expect(Math.abs(Math.sqrt(variance) - 100 / Math.sqrt(32))).toBeLessThan(0.5);
  });
});
