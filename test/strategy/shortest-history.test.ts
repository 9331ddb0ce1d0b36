import { expect, test } from "bun:test";
import { randomHistory } from "../../src/strategy/random-history.ts";
import { shortestHistory } from "../../src/strategy/shortest-history.ts";
import type { History, Step } from "../../src/testing-api.ts";

function has(history: History, ...wanted: readonly Step[]): boolean {
  const steps = history.steps.map((step) => JSON.stringify(step));
  return wanted.every((step) => steps.includes(JSON.stringify(step)));
}

const base = randomHistory(1, 100);
const long: History = {
  ...base,
  weights: [2, 3, 4, 5],
  steps: [...base.steps, ["wait", 123], ...base.steps, ["leave", "backend-77"], ...base.steps],
};

test("two steps far apart are what is left of a thousand, in their order", () => {
  const needed: readonly Step[] = [
    ["wait", 123],
    ["leave", "backend-77"],
  ];
  const found = shortestHistory(long, (history) => has(history, ...needed));
  expect(found).toEqual({ seed: long.seed, weights: [1], steps: needed });
});

test("weights that matter stay", () => {
  const found = shortestHistory(long, ({ weights }) => weights.includes(4));
  expect(found.weights).toEqual([2, 3, 4]);
  expect(found.steps).toEqual([]);
});

test("what fails only as a whole stays as it is", () => {
  const text = JSON.stringify(long);
  expect(shortestHistory(long, (history) => JSON.stringify(history) === text)).toEqual(long);
});

test("the search ends, however little can be spared", () => {
  let trials = 0;
  const many: History = { ...long, steps: Array.from({ length: 5000 }, (): Step => ["pick"]) };
  shortestHistory(many, () => {
    trials++;
    return trials % 50 === 0;
  });
  expect(trials).toBeLessThanOrEqual(1000);
});

test("a seed decides a history", () => {
  expect(randomHistory(7, 50)).toEqual(randomHistory(7, 50));
  expect(randomHistory(7, 50)).not.toBe(randomHistory(7, 50));
  expect(JSON.stringify(randomHistory(7, 50)) === JSON.stringify(randomHistory(8, 50))).toBe(false);
  expect(randomHistory(7, 50).steps.filter(([what]) => what === "pick").length).toBe(50);
});
