import { expect, test } from "bun:test";
import { renderHistoryTest } from "../../src/strategy/history-test.ts";

test("a test is written as a person would write it, with the reason above it", () => {
  const source = renderHistoryTest({
    name: "answers",
    promise: "answers",
    explanation: 'score returned NaN for backend "a": it must return a number. '.repeat(2).trim(),
    history: {
      seed: 3,
      weights: [1, 0.5],
      options: { zone: "a", "odd name": [] },
      previous: null,
      steps: [["pick"], ["pick", { attempt: 2, without: ["backend-1"] }], ["end", 0, "connect"]],
    },
    specifier: "./mine.ts",
  });
  expect(source).toBe(`import { test } from "bun:test";
import { keepsPromise } from "leastwise/testing";
import strategy from "./mine.ts";

// score returned NaN for backend "a": it must return a number. score returned NaN for backend
// "a": it must return a number.
test("answers", () => {
  keepsPromise("answers", strategy, {
    seed: 3,
    weights: [1, 0.5],
    options: { zone: "a", "odd name": [] },
    previous: null,
    steps: [
      ["pick"],
      ["pick", { attempt: 2, without: ["backend-1"] }],
      ["end", 0, "connect"],
    ],
  });
});
`);
});

test("a thousand equal weights are written short, and no steps as none", () => {
  const source = renderHistoryTest({
    name: "answers",
    promise: "answers",
    explanation: "create threw",
    history: { seed: 1, weights: Array<number>(1000).fill(1), steps: [] },
    specifier: "./mine.ts",
  });
  expect(source).toContain("    weights: Array(1000).fill(1),\n    steps: [],\n");
});
