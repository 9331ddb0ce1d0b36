import { describe, expect, test } from "bun:test";
import p2c from "../../plugins/p2c.ts";
import type { Backend } from "../../src/plugin.ts";
import { Rehearsal } from "../../src/strategy/rehearsal.ts";
import { strategySuite } from "../../src/strategy/suite.ts";
import { strangeness } from "../_support/chi-square.ts";
import { countPicks, send } from "../_support/rehearsed-exchange.ts";

const plugin = p2c;

for (const options of [undefined, { choices: 3 }]) {
  describe(`p2c with ${JSON.stringify(options) ?? "no options"}`, () => {
    for (const { name, run } of strategySuite(plugin, options)) test(name, run);
  });
}

/** One request in flight more at each next backend. */
function loadUnevenly(rehearsal: Rehearsal): void {
  for (const [index, backend] of rehearsal.backends.entries()) {
    for (let count = 0; count < index; count++) send(rehearsal, backend);
  }
}

describe("p2c", () => {
  test("gives idle backends their share by weight", () => {
    for (const weights of [
      [1, 1],
      [1, 3],
      [1, 1, 1, 1, 1],
      [1, 2, 3, 4],
      [0.1, 0.3, 2.6],
    ]) {
      const rehearsal = new Rehearsal({ plugin, weights, seed: 7 });
      expect(strangeness(countPicks(rehearsal, 40_000), weights)).toBeLessThan(1);
    }
  });

  test("takes the less busy of two different ones: the i-th of n wins against n - i others", () => {
    const size = 5;
    const rehearsal = new Rehearsal({ plugin, weights: Array(size).fill(1), seed: 3 });
    loadUnevenly(rehearsal);
    const counts = countPicks(rehearsal, 40_000);
    // The busiest never: drawn twice it would win against itself.
    expect(counts[size - 1]).toBe(0);
    expect(strangeness(counts.slice(0, -1), [4, 3, 2, 1])).toBeLessThan(1);
  });

  test("takes the least busy of three when it is given three choices", () => {
    const rehearsal = new Rehearsal({ plugin, options: { choices: 3 }, weights: [1, 1, 1, 1, 1] });
    loadUnevenly(rehearsal);
    const counts = countPicks(rehearsal, 40_000);
    expect(counts.slice(3)).toEqual([0, 0]);
    // Pairs of busier ones that it can be drawn with: of four, of three, of two.
    expect(strangeness(counts.slice(0, 3), [6, 3, 1])).toBeLessThan(1);
  });

  test("looks at all when there are no more than it draws", () => {
    for (const [options, size] of [
      [undefined, 2],
      [{ choices: 4 }, 4],
      [{ choices: 9 }, 4],
    ] as const) {
      const rehearsal = new Rehearsal({ plugin, options, weights: Array(size).fill(1) });
      for (const busy of rehearsal.backends.slice(0, -1)) send(rehearsal, busy);
      expect(countPicks(rehearsal, 200).at(-1)).toBe(200);
    }
  });

  test("counts requests in flight for the weight", () => {
    const rehearsal = new Rehearsal({ plugin, weights: [1, 4] });
    const [light, heavy] = rehearsal.backends as [Backend, Backend];
    send(rehearsal, light);
    for (let count = 0; count < 3; count++) send(rehearsal, heavy);
    // 1/1 and 3/4
    expect(countPicks(rehearsal, 100)).toEqual([0, 100]);
    for (let count = 0; count < 2; count++) send(rehearsal, heavy);
    expect(countPicks(rehearsal, 100)).toEqual([100, 0]);
  });

  test("keeps to the weights when candidates differ from pick to pick", () => {
    const weights = [1, 2, 3];
    const rehearsal = new Rehearsal({ plugin, weights: [...weights, 4], seed: 5 });
    const candidates = rehearsal.backends.slice(0, 3);
    const counts = new Map<Backend | null, number>();
    for (let index = 0; index < 20_000; index++) {
      rehearsal.pick();
      const { backend } = rehearsal.pick(candidates);
      counts.set(backend, (counts.get(backend) ?? 0) + 1);
    }
    const found = rehearsal.backends.map((backend) => counts.get(backend) ?? 0);
    expect(found[3]).toBe(0);
    expect(strangeness(found.slice(0, 3), weights)).toBeLessThan(1);
  });

  test("says what is wrong with its options", () => {
    const wrong: readonly (readonly [options: unknown, message: string])[] = [
      [
        { choices: 1 },
        "p2c rejects its options: choices: found 1, allowed a whole number from 2 to 100",
      ],
      [{ choices: 2.5 }, "choices: found 2.5, allowed a whole number from 2 to 100"],
      [{ choices: "2" }, 'choices: found "2", allowed a whole number from 2 to 100'],
      [{ choices: null }, "choices: found null, allowed a whole number from 2 to 100"],
      [{ choice: 2 }, "choice: no such option, allowed choices"],
      [[2], "found [2], allowed an object with choices"],
      [null, "found null, allowed an object with choices"],
      [{ choice: 3, choices: 0 }, "choice: no such option, allowed choices; choices: found 0"],
    ];
    for (const [options, message] of wrong) {
      expect(() => new Rehearsal({ plugin, options, weights: [1] })).toThrow(message);
    }
  });
});
