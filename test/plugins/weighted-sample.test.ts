import { describe, expect, test } from "bun:test";
import { WeightedSample } from "../../plugins/weighted-sample.ts";
import { createRandom } from "../../src/strategy/random.ts";
import { strangeness } from "../_support/chi-square.ts";

interface Named {
  readonly name: string;
  weight: number;
}

function named(weights: readonly number[]): Named[] {
  return weights.map((weight, index) => ({ name: "abcdefgh"[index] ?? "", weight }));
}

/** How often each ordered pair was drawn. */
function countPairs(list: readonly Named[], draws: number, seed: number): Map<string, number> {
  const sample = new WeightedSample<Named>(createRandom(seed));
  const counts = new Map<string, number>();
  for (let index = 0; index < draws; index++) {
    const pair = sample
      .draw(list, 2)
      .map(({ name }) => name)
      .join("");
    counts.set(pair, (counts.get(pair) ?? 0) + 1);
  }
  return counts;
}

/** The share of each ordered pair: the first by weight, the second by weight among the rest. */
function pairShares(list: readonly Named[]): Map<string, number> {
  const total = list.reduce((sum, { weight }) => sum + weight, 0);
  const shares = new Map<string, number>();
  for (const one of list) {
    for (const other of list) {
      if (one === other) continue;
      const share = (one.weight / total) * (other.weight / (total - one.weight));
      shares.set(one.name + other.name, share);
    }
  }
  return shares;
}

describe("a weighted sample", () => {
  test("draws pairs of different members, first and second by weight", () => {
    for (const weights of [
      [1, 1, 1],
      [1, 2, 3],
      [5, 1, 1, 1],
      [0.5, 0.25, 2, 1, 1],
    ]) {
      const list = named(weights);
      const shares = pairShares(list);
      const counts = countPairs(list, 60_000, 11);
      expect([...counts.keys()].every((pair) => shares.has(pair))).toBe(true);
      const found = [...shares.keys()].map((pair) => counts.get(pair) ?? 0);
      expect(strangeness(found, [...shares.values()])).toBeLessThan(1);
    }
  });

  test("keeps to weights that are so far apart that most draws come to nothing", () => {
    // After the heavy one is drawn, a light one is kept once in 10,000 tries.
    const list = named([10_000, 1, 3]);
    const counts = countPairs(list, 30_000, 2);
    expect(strangeness([counts.get("ab") ?? 0, counts.get("ac") ?? 0], [1, 3])).toBeLessThan(1);
  });

  test("draws all when asked for all", () => {
    const sample = new WeightedSample<Named>(createRandom(4));
    const list = named([1, 1e-6, 1e6, 1]);
    for (let index = 0; index < 100; index++) {
      const drawn = sample.draw(list, 4).map(({ name }) => name);
      expect(drawn.toSorted().join("")).toBe("abcd");
    }
  });

  test("notices weights that grow while the list stays", () => {
    const list = named([1, 1, 1]);
    const sample = new WeightedSample<Named>(createRandom(6));
    sample.draw(list, 1);
    (list[2] as Named).weight = 8;
    // Seen once, it is known.
    for (let index = 0; index < 20; index++) sample.draw(list, 1);
    const counts = new Map<string, number>();
    for (let index = 0; index < 20_000; index++) {
      const name = sample.draw(list, 1)[0]?.name ?? "";
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    const found = list.map(({ name }) => counts.get(name) ?? 0);
    expect(strangeness(found, [1, 1, 8])).toBeLessThan(1);
  });

  test("refuses to draw more than there are", () => {
    const sample = new WeightedSample<Named>(createRandom(1));
    expect(() => sample.draw(named([1, 1]), 3)).toThrow("cannot draw 3 of 2");
  });
});
