import { describe, expect, test } from "bun:test";
import { createRandom, xoshiro128 } from "../../src/strategy/random.ts";

function take(random: () => number, count: number): number[] {
  return Array.from({ length: count }, () => random());
}

describe("randomness", () => {
  test("gives the numbers of xoshiro128**'s reference implementation", () => {
    expect(take(xoshiro128([1, 2, 3, 4]), 10)).toEqual([
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597,
      4258142804,
    ]);
  });

  test("repeats itself for the same seed and not for another", () => {
    expect(take(createRandom(7), 5)).toEqual(take(createRandom(7), 5));
    const firsts = new Set<number>();
    for (let seed = 0; seed < 1000; seed++) firsts.add(createRandom(seed)());
    for (let high = 1; high <= 1000; high++) firsts.add(createRandom(high * 2 ** 32)());
    expect(firsts.size).toBe(2000);
  });

  test("is uniform in [0, 1), also over the first number of neighbouring seeds", () => {
    for (const numbers of [
      take(createRandom(1), 10_000),
      Array.from({ length: 10_000 }, (_, seed) => createRandom(seed)()),
    ]) {
      const tenths = Array<number>(10).fill(0);
      for (const number of numbers) {
        const tenth = Math.floor(number * 10);
        tenths[tenth] = (tenths[tenth] ?? 0) + 1;
      }
      expect(tenths.length).toBe(10);
      expect(Math.min(...tenths)).toBeGreaterThan(880);
      expect(Math.max(...tenths)).toBeLessThan(1120);
    }
  });
});
