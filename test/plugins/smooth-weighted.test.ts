import { describe, expect, test } from "bun:test";
import { SmoothWeighted } from "../../plugins/smooth-weighted.ts";
import { createRandom } from "../../src/strategy/random.ts";

interface Named {
  readonly name: string;
  readonly weight: number;
}

function named(weights: Readonly<Record<string, number>>): Named[] {
  return Object.entries(weights).map(([name, weight]) => ({ name, weight }));
}

describe("smooth weighted round robin", () => {
  test("gives the sequence that nginx documents when it starts at the start", () => {
    // The first number is the start, the others move nobody.
    const numbers = [0];
    const turns = new SmoothWeighted(() => numbers.pop() ?? 0.5);
    const list = named({ a: 5, b: 1, c: 1 });
    const picks = Array.from({ length: 14 }, () => turns.next(list).name).join("");
    expect(picks).toBe("aabacaaaabacaa");
  });

  test("never gives two light ones a turn after each other, wherever it starts", () => {
    const list = named({ a: 5, b: 1, c: 1 });
    for (let seed = 0; seed < 50; seed++) {
      const turns = new SmoothWeighted(createRandom(seed));
      const picks = Array.from({ length: 70 }, () => turns.next(list).name).join("");
      expect(picks).not.toMatch(/[bc][bc]/);
      expect(picks.replaceAll(/[bc]/g, "").length).toBe(50);
    }
  });

  test("does not go in the order of the list when all are equal", () => {
    const list = named({ a: 1, b: 1, c: 1, d: 1 });
    const orders = new Set<string>();
    for (let seed = 0; seed < 200; seed++) {
      const turns = new SmoothWeighted(createRandom(seed));
      orders.add(Array.from({ length: 4 }, () => turns.next(list).name).join(""));
    }
    expect(orders.size).toBe(24);
  });

  test("gives no burst to one who was missing for long", () => {
    const list = named({ a: 1, b: 1, c: 1 });
    const turns = new SmoothWeighted(createRandom(1));
    for (let index = 0; index < 10; index++) turns.next(list);
    for (let index = 0; index < 1000; index++) turns.next(list.slice(0, 2));
    const picks = Array.from({ length: 9 }, () => turns.next(list).name);
    expect(picks.filter((name) => name === "c").length).toBeLessThanOrEqual(4);
  });

  test("asks only the first so many of a list, at the first turn too", () => {
    const list = named({ a: 1, b: 1, c: 98 });
    const first = new Set<string>();
    for (let seed = 0; seed < 20; seed++) {
      const turns = new SmoothWeighted(createRandom(seed));
      first.add(turns.next(list, 2).name);
      for (let index = 0; index < 5; index++) expect(turns.next(list, 2).name).not.toBe("c");
    }
    expect([...first].toSorted()).toEqual(["a", "b"]);
  });

  test("draws the first turn by lot among several, also when there was only one before", () => {
    const list = named({ a: 3, b: 1 });
    let light = 0;
    for (let seed = 0; seed < 4000; seed++) {
      const turns = new SmoothWeighted(createRandom(seed));
      turns.next(named({ alone: 1 }));
      if (turns.next(list).name === "b") light++;
    }
    expect(light).toBeGreaterThan(900);
    expect(light).toBeLessThan(1100);
  });

  test("keeps to weights that are no whole numbers", () => {
    const list = named({ a: 0.1, b: 0.3 });
    const turns = new SmoothWeighted(createRandom(1));
    const picks = Array.from({ length: 4000 }, () => turns.next(list).name);
    const light = picks.filter((name) => name === "a").length;
    expect(Math.abs(light - 1000)).toBeLessThanOrEqual(1);
  });

  test("refuses an empty list", () => {
    expect(() => new SmoothWeighted(createRandom(1)).next([])).toThrow(RangeError);
  });
});
