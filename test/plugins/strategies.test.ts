import { describe, expect, test } from "bun:test";
import leastConnections from "../../plugins/least-connections.ts";
import random from "../../plugins/random.ts";
import roundRobin from "../../plugins/round-robin.ts";
import type { Backend, StrategyPlugin } from "../../src/plugin.ts";
import { Rehearsal } from "../../src/strategy/rehearsal.ts";
import { strategySuite } from "../../src/strategy/suite.ts";

const plugins: readonly StrategyPlugin<unknown>[] = [leastConnections, roundRobin, random];

/** Sends requests one at a time, each ended before the next, and counts them per backend. */
function sendSequentially(rehearsal: Rehearsal, requests: number): number[] {
  const counts = new Map<Backend, number>(rehearsal.backends.map((backend) => [backend, 0]));
  for (let index = 0; index < requests; index++) {
    const { backend, fallback } = rehearsal.pick();
    if (backend === null || fallback) throw new Error("expected an answer of the strategy");
    rehearsal.end(rehearsal.start(backend));
    counts.set(backend, (counts.get(backend) ?? 0) + 1);
  }
  return [...counts.values()];
}

for (const plugin of plugins) {
  describe(plugin.name, () => {
    for (const { name, run } of strategySuite(plugin)) test(name, run);

    test("takes no options", () => {
      expect(() => new Rehearsal({ plugin, options: { a: 1 }, weights: [1] })).toThrow(
        'takes no options, found {"a":1}',
      );
    });

    test("gives equal backends an equal share of 30,000 picks", () => {
      for (const size of [2, 3, 10]) {
        const rehearsal = new Rehearsal({ plugin, weights: Array(size).fill(1), seed: size });
        const share = 30_000 / size;
        expect(Math.max(...sendSequentially(rehearsal, 30_000))).toBeLessThanOrEqual(share * 1.05);
      }
    });

    test("gives equal backends an equal share when 20 workers start together", () => {
      // Few picks each: what is tested is where they start.
      const totals = Array<number>(10).fill(0);
      for (let round = 0; round < 300; round++) {
        for (let worker = 0; worker < 20; worker++) {
          const seed = round * 20 + worker;
          const rehearsal = new Rehearsal({ plugin, weights: Array(10).fill(1), seed });
          for (const [index, count] of sendSequentially(rehearsal, 5).entries()) {
            totals[index] = (totals[index] ?? 0) + count;
          }
        }
      }
      expect(Math.max(...totals)).toBeLessThanOrEqual(3000 * 1.05);
    });

    test("does not send the first request of every worker to the heaviest backend", () => {
      let light = 0;
      for (let worker = 0; worker < 4000; worker++) {
        const rehearsal = new Rehearsal({ plugin, weights: [3, 1], seed: worker });
        light += sendSequentially(rehearsal, 1)[1] ?? 0;
      }
      expect(light).toBeGreaterThan(900);
      expect(light).toBeLessThan(1100);
    });
  });
}

describe("sequential requests to weights 1 and 3", () => {
  for (const plugin of [leastConnections, roundRobin]) {
    test(`spread 1,000 to 3,000 with ${plugin.name}`, () => {
      for (let seed = 0; seed < 20; seed++) {
        const rehearsal = new Rehearsal({ plugin, weights: [1, 3], seed });
        expect(sendSequentially(rehearsal, 4000)).toEqual([1000, 3000]);
      }
    });
  }

  test("spread by weight with random, as chance has it", () => {
    const rehearsal = new Rehearsal({ plugin: random, weights: [1, 3] });
    const [light = 0] = sendSequentially(rehearsal, 40_000);
    // Four standard deviations of a fair draw.
    expect(Math.abs(light - 10_000)).toBeLessThan(350);
  });
});

describe("least-connections", () => {
  test("picks the backend with the fewest requests in flight for its weight", () => {
    const rehearsal = new Rehearsal({ plugin: leastConnections, weights: [1, 1, 4] });
    const [light, other, heavy] = rehearsal.backends as [Backend, Backend, Backend];
    rehearsal.start(light);
    for (let index = 0; index < 3; index++) rehearsal.start(heavy);
    // 1/1, 0/1, 3/4
    expect(rehearsal.pick().backend).toBe(other);
    rehearsal.start(other);
    // 1/1, 1/1, 3/4
    expect(rehearsal.pick().backend).toBe(heavy);
  });

  test("gives requests that never end to all backends by weight", () => {
    const rehearsal = new Rehearsal({ plugin: leastConnections, weights: [1, 2, 5] });
    for (let index = 0; index < 80; index++) {
      const { backend } = rehearsal.pick();
      if (backend !== null) rehearsal.start(backend);
    }
    expect(rehearsal.backends.map((backend) => backend.inFlight)).toEqual([10, 20, 50]);
  });
});

describe("round-robin", () => {
  test("takes no notice of load", () => {
    const rehearsal = new Rehearsal({ plugin: roundRobin, weights: [1, 1] });
    const [busy] = rehearsal.backends as [Backend];
    for (let index = 0; index < 50; index++) rehearsal.start(busy);
    const picks = Array.from({ length: 100 }, () => rehearsal.pick().backend);
    expect(picks.filter((backend) => backend === busy).length).toBe(50);
  });

  test("stays smooth and by weight while one backend comes and goes", () => {
    const rehearsal = new Rehearsal({ plugin: roundRobin, weights: [1, 1, 1] });
    const [, , flapping] = rehearsal.backends as [Backend, Backend, Backend];
    const counts = [0, 0, 0];
    for (let index = 0; index < 600; index++) {
      const all = rehearsal.backends;
      const candidates = index % 2 === 0 ? all : all.filter((backend) => backend !== flapping);
      const { backend } = rehearsal.pick(candidates);
      const position = all.indexOf(backend as Backend);
      counts[position] = (counts[position] ?? 0) + 1;
    }
    // The two that stay share equally what the third could not take.
    expect(Math.abs((counts[0] ?? 0) - (counts[1] ?? 0))).toBeLessThanOrEqual(2);
    expect(counts[2]).toBeGreaterThan(95);
    expect(counts[2]).toBeLessThan(105);
  });
});
