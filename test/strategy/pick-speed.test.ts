import { expect, test } from "bun:test";
import type { StrategyPlugin } from "../../src/plugin.ts";
import { checkConformance, type RuleReport } from "../../src/strategy/conformance.ts";
import { measurePick, pickBudgetNs } from "../../src/strategy/pick-speed.ts";

/** A strategy whose every pick takes so long on a clock that nothing else moves. */
function slowBy(ns: number) {
  let nowNs = 0;
  const plugin: StrategyPlugin<unknown> = {
    name: "slow",
    apiVersion: 1,
    create: () => ({
      pick(candidates) {
        nowNs += ns;
        return candidates[0];
      },
    }),
  };
  return { plugin, nowNs: () => nowNs };
}

async function rulesOf(
  plugin: StrategyPlugin<unknown>,
  nowNs: () => number,
): Promise<RuleReport[]> {
  const rules: RuleReport[] = [];
  await checkConformance({
    plugin,
    specifier: "./mine.ts",
    nowNs,
    locate: () => Promise.resolve("mine.ts:1:1"),
    onBegin: () => Promise.resolve(),
    onEnd: (rule) => void rules.push(rule),
  });
  return rules;
}

test("a pick is measured by the clock that is handed in", () => {
  const { plugin, nowNs } = slowBy(700);
  expect(measurePick({ plugin, candidates: 3, nowNs, roundNs: 10_000 })).toBe(700);
});

test("the budget grows with the pool", () => {
  expect([10, 1000].map(pickBudgetNs)).toEqual([30_000, 1_020_000]);
});

test("a pick above the budget is told with its time", async () => {
  const { plugin, nowNs } = slowBy(31_000);
  const [small, large] = await rulesOf(plugin, nowNs);
  expect(small).toMatchObject({ rule: "picks within 30 µs of 10 candidates", ok: false });
  expect(small?.explanation ?? "").toContain("a pick takes 31 µs");
  expect(large?.ok).toBe(true);
});

test("one far above it is told so and tried no further", async () => {
  const { plugin, nowNs } = slowBy(200_000);
  const rules = await rulesOf(plugin, nowNs);
  expect(rules.length).toBe(1);
  expect(rules[0]?.explanation ?? "").toContain("no other rule was tried");
});

test("a strategy that keeps all rules has a report of each", async () => {
  const { plugin, nowNs } = slowBy(1000);
  const rules = await rulesOf(plugin, nowNs);
  expect(rules.filter(({ ok }) => !ok)).toEqual([]);
  expect(rules.length).toBeGreaterThan(15);
  expect(new Set(rules.map(({ rule }) => rule)).size).toBe(rules.length);
});
