import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import fc from "fast-check";
import type { Backend } from "../../src/plugin.ts";
import { Rehearsal } from "../../src/strategy/rehearsal.ts";
import { strategySuite } from "../../src/strategy/suite.ts";
import { loadExamplePool } from "../_support/example-pool.ts";
import { countPicks, exchange, finish, send } from "../_support/rehearsed-exchange.ts";

const { plugin, options, rehearse } = await loadExamplePool(
  join(import.meta.dir, "../../examples/hcl"),
);

/** Equal backends; the first answers in 10 ms, the second in 20 ms, and so on. */
function rehearseKnown(size: number, options?: unknown): Rehearsal {
  const rehearsal = new Rehearsal({ plugin, options, weights: Array(size).fill(1) });
  // Many rounds, so that the averages are right and all are about as old.
  for (let count = 0; count < 200; count++) {
    for (const [index, backend] of rehearsal.backends.entries()) {
      exchange(rehearsal, backend, { ms: 10 * (index + 1) });
    }
  }
  return rehearsal;
}

function load(rehearsal: Rehearsal, loads: readonly number[]): void {
  for (const [index, count] of loads.entries()) {
    for (let sent = 0; sent < count; sent++) send(rehearsal, rehearsal.backends[index] as Backend);
  }
}

describe("examples/hcl", () => {
  for (const given of [undefined, options, { quantile: 0, sample: 2 }]) {
    for (const { name, run } of strategySuite(plugin, given)) {
      test(`${name}, with ${JSON.stringify(given) ?? "no options"}`, run);
    }
  }

  test("picks the fastest of backends that have the same to do", () => {
    const rehearsal = rehearseKnown(5);
    load(rehearsal, [2, 2, 2, 2, 2]);
    expect(countPicks(rehearsal, 50)).toEqual([50, 0, 0, 0, 0]);
  });

  test("picks the next fastest when the fastest is hot, however fast it is", () => {
    const rehearsal = rehearseKnown(5);
    load(rehearsal, [3, 2, 2, 2, 2]);
    expect(countPicks(rehearsal, 50)).toEqual([0, 50, 0, 0, 0]);
  });

  test("never picks one that is busier than the quantile of all", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 10 }),
        fc.constantFrom(0, 0.5, 0.84, 1),
        (loads, quantile) => {
          const rehearsal = new Rehearsal({
            plugin,
            options: { quantile },
            weights: loads.map(() => 1),
          });
          load(rehearsal, loads);
          const sorted = loads.toSorted((one, other) => one - other);
          const limit = sorted[Math.floor(quantile * (loads.length - 1))] ?? Number.NaN;
          expect(rehearsal.pick().backend?.inFlight).toBeLessThanOrEqual(limit);
          expect(rehearsal.faults).toEqual([]);
        },
      ),
      { seed: 2024 },
    );
  });

  test("counts requests in flight for the weight", () => {
    const rehearsal = rehearse();
    load(rehearsal, [2, 2, 2, 3]);
    expect(countPicks(rehearsal, 100)[3]).toBeGreaterThan(0);
    load(rehearsal, [0, 0, 0, 2]);
    expect(countPicks(rehearsal, 100)[3]).toBe(0);
  });

  test("looks at different ones of a large pool each time", () => {
    const rehearsal = new Rehearsal({ plugin, weights: Array(200).fill(1) });
    expect(countPicks(rehearsal, 5000).filter((count) => count === 0)).toEqual([]);
  });

  test("tries a backend that has not answered yet, until it is hot", () => {
    const rehearsal = rehearseKnown(4);
    rehearsal.changePool(4, [1]);
    const joined = rehearsal.backends[4] as Backend;
    expect(countPicks(rehearsal, 50)[4]).toBe(50);
    send(rehearsal, joined);
    expect(countPicks(rehearsal, 50)[4]).toBe(0);
  });

  test("looks at different ones in one pick: of two drawn from three the busiest never wins", () => {
    const options = { quantile: 0, sample: 2 };
    const rehearsal = new Rehearsal({ plugin, options, weights: [1, 1, 1] });
    load(rehearsal, [0, 0, 5]);
    expect(countPicks(rehearsal, 300)[2]).toBe(0);
  });

  test("does not take failing fast for being fast", () => {
    for (const fail of [
      (rehearsal: Rehearsal, backend: Backend) =>
        finish(rehearsal, send(rehearsal, backend), { outcome: "connect" }),
      (rehearsal: Rehearsal, backend: Backend) =>
        exchange(rehearsal, backend, { ms: 1, status: 503 }),
    ]) {
      const rehearsal = new Rehearsal({ plugin, weights: [1, 1] });
      const [fast, slow] = rehearsal.backends as [Backend, Backend];
      exchange(rehearsal, slow, { ms: 2000 });
      exchange(rehearsal, fast, { ms: 10 });
      expect(countPicks(rehearsal, 50)).toEqual([50, 0]);
      fail(rehearsal, fast);
      expect(countPicks(rehearsal, 50)).toEqual([0, 50]);
    }
  });

  test("says what is wrong with its options", () => {
    const wrong: readonly (readonly [options: unknown, message: string])[] = [
      [null, "expected options like { quantile: 0.84, sample: 16 }"],
      [{ quantile: 84 }, "quantile must be a number from 0 to 1"],
      [{ sample: 1 }, "sample must be a whole number from 2 on"],
      [{ probes: 3 }, "there is no option probes, only quantile and sample"],
    ];
    for (const [options, message] of wrong) {
      expect(() => new Rehearsal({ plugin, options, weights: [1] })).toThrow(message);
    }
  });
});
