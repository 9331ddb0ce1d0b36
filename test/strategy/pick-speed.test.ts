import { describe, expect, test } from "bun:test";
import type { Strategy, StrategyPlugin } from "../../src/plugin.ts";
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
  const speed = measurePick({ plugin, candidates: 3, nowNs, roundNs: 10_000 });
  expect(speed).toEqual({ ns: 700, fault: null });
});

// Least connections answered in its place, and its time passed for that of the strategy.
describe("a strategy that faults has no time", () => {
  /** Each pick takes 700 ns, and does so by itself. */
  function faulting(fault: (pick: number, candidates: number) => void, hooks: Strategy = {}) {
    const { plugin, nowNs } = slowBy(700);
    let picks = 0;
    const create: StrategyPlugin<unknown>["create"] = (env) => ({
      ...hooks,
      pick(candidates, context) {
        fault(++picks, candidates.length);
        return plugin.create(env).pick?.(candidates, context) ?? null;
      },
    });
    return { plugin: { ...plugin, create }, nowNs };
  }
  const boom = (): never => {
    throw new Error("boom");
  };

  test.each([
    ["always", "pick", faulting(boom)],
    ["in one pick of many", "pick", faulting((pick) => void (pick === 70 && boom()))],
    ["in a hook", "onPoolChange", faulting(() => {}, { onPoolChange: boom })],
  ])("%s", (_when, method, tried) => {
    const { ns, fault } = measurePick({ ...tried, candidates: 3, roundNs: 10_000 });
    expect({ ns, message: fault?.message }).toEqual({ ns: NaN, message: `${method} threw: boom` });
  });

  test("but one that cannot be disposed of has", () => {
    const tried = faulting(() => {}, { dispose: boom });
    expect(measurePick({ ...tried, candidates: 3, roundNs: 10_000 })).toEqual({
      ns: 700,
      fault: null,
    });
  });

  test("and the rule of its time is broken", async () => {
    const tried = faulting((_pick, candidates) => void (candidates > 50 && boom()));
    const [small, large] = await rulesOf(tried.plugin, tried.nowNs);
    expect(small?.ok).toBe(true);
    expect(large).toEqual({
      rule: "picks within 1,020 µs of 1000 candidates",
      ok: false,
      explanation: "no time was taken, for it faults: mine.ts:1:1: pick threw: boom",
      test: null,
    });
  });
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
