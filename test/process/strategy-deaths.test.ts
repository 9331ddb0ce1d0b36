import { beforeEach, describe, expect, test } from "bun:test";
import type { Plan } from "../../src/process/messages.ts";
import { StrategyDeaths } from "../../src/process/strategy-deaths.ts";

const MINUTE_MS = 60_000;

let nowMs: number;
let deaths: StrategyDeaths;

beforeEach(() => {
  nowMs = 1;
  deaths = new StrategyDeaths(() => nowMs);
});

/** Pools with their strategies, as `name version`. */
function plan(strategies: Readonly<Record<string, string>>): Plan {
  const entries = Object.entries(strategies).map(([pool, text]) => {
    const [name = "", version = ""] = text.split(" ");
    const module = { kind: "built-in", name } as const;
    return [pool, { module, description: { name, version, source: "built-in" } }] as const;
  });
  return { strategies: Object.fromEntries(entries) } as unknown as Plan;
}

/** The condition of the only pool. */
function of(text: string) {
  const { web } = deaths.conditionsOf(plan({ web: text }));
  if (web === undefined) throw new Error("the pool has no condition");
  return web;
}

test("a version of a strategy in a pool keeps its number, and shares it with no other", () => {
  const { web, api } = deaths.conditionsOf(plan({ web: "mine 1", api: "mine 1" }));
  const { number: newer } = of("mine 2");
  const { number: other } = of("other 1");
  expect(new Set([web?.number, api?.number, newer, other]).size).toBe(4);
  expect(of("mine 1").number).toBe(web?.number as number);
  expect(deaths.find(newer)).toEqual({ pool: "web", strategy: "mine", version: "2" });
});

describe("a strategy in which a worker ended", () => {
  test("once goes on", () => {
    const { number } = of("mine 1");
    expect(deaths.count(number)).toBe(false);
    expect(of("mine 1").sealed).toBe(false);
  });

  test("twice within ten minutes is sealed, which is said once", () => {
    const { number } = of("mine 1");
    deaths.count(number);
    nowMs += 10 * MINUTE_MS;
    expect(deaths.count(number)).toBe(true);
    expect(deaths.count(number)).toBe(false);
    expect(of("mine 1").sealed).toBe(true);
  });

  test("twice in more than ten minutes goes on, and the second counts for the third", () => {
    const { number } = of("mine 1");
    deaths.count(number);
    nowMs += 10 * MINUTE_MS + 1;
    expect(deaths.count(number)).toBe(false);
    nowMs += 5 * MINUTE_MS;
    expect(deaths.count(number)).toBe(true);
  });

  test("is sealed in its pool and version, and nowhere else", () => {
    const { number } = of("mine 1");
    deaths.count(number);
    deaths.count(number);
    expect(of("mine 2").sealed).toBe(false);
    expect(deaths.conditionsOf(plan({ api: "mine 1" }))["api"]?.sealed).toBe(false);
    // Whoever goes back to it gets it as it was.
    expect(of("mine 1").sealed).toBe(true);
  });
});

test("a number that no strategy has is nobody's death", () => {
  expect(deaths.count(5)).toBe(false);
  expect(deaths.find(5)).toBeNull();
});

describe("of thousands of versions", () => {
  test("the oldest are forgotten, sealed ones too, and numbers are never given twice", () => {
    const first = of("mine 1").number;
    deaths.count(first);
    deaths.count(first);
    for (let version = 2; version < 500; version++) of(`mine ${version}`);
    expect(of("mine 1").sealed).toBe(true);
    const second = of("mine 2").number;
    for (let version = 500; version < 3000; version++) of(`mine ${version}`);
    expect(deaths.find(first)).toBeNull();
    expect(of("mine 1").sealed).toBe(false);
    expect(of("mine 1").number).toBeGreaterThan(second + 1000);
    expect(deaths.find(of("mine 2999").number)?.version).toBe("2999");
  });

  test("one that stays in use is remembered", () => {
    const { number } = of("mine 1");
    deaths.count(number);
    for (let version = 2; version < 3000; version++) {
      deaths.problemsOf(plan({ web: `mine ${version}` }), plan({ web: "mine 1" }).strategies);
      deaths.conditionsOf(plan({ web: `mine ${version}` }));
    }
    expect(deaths.count(number)).toBe(true);
  });
});

describe("a plan with a sealed strategy", () => {
  beforeEach(() => {
    const { number } = of("mine 2");
    deaths.count(number);
    deaths.count(number);
  });

  test("is refused when that would come into force by it", () => {
    const problems = deaths.problemsOf(plan({ web: "mine 2" }), plan({ web: "mine 1" }).strategies);
    expect(problems).toEqual([
      {
        path: "pools.web.strategy",
        message: expect.stringContaining("version 2 of built-in has ended two workers"),
      },
    ]);
    expect(deaths.problemsOf(plan({ web: "mine 2" }), {})).toHaveLength(1);
  });

  test("is not when it is in force already, or is in another pool", () => {
    const both = plan({ web: "mine 2", api: "mine 2" });
    expect(deaths.problemsOf(both, plan({ web: "mine 2" }).strategies)).toEqual([]);
  });
});
