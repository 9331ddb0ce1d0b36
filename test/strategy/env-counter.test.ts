import { describe, expect, test } from "bun:test";
import type { StrategyCounter, StrategyEnv } from "../../src/plugin.ts";
import type { StrategyMetrics } from "../../src/strategy/strategy-metrics.ts";
import { stage } from "../_support/stage.ts";

/** Totals by `name pool strategy`, and how often a counter was asked for. */
class Totals implements StrategyMetrics {
  readonly sums = new Map<string, number>();
  asked = 0;

  counter({ name, pool, strategy }: Parameters<StrategyMetrics["counter"]>[0]) {
    this.asked++;
    const key = `${name} ${pool} ${strategy}`;
    return { add: (n: number) => void this.sums.set(key, (this.sums.get(key) ?? 0) + n) };
  }
}

function counting(use: (counter: StrategyEnv["counter"]) => void, metrics = new Totals()) {
  const played = stage(
    (env) => {
      use(env.counter);
      return { score: () => 1 };
    },
    { metrics },
  );
  return { sums: Object.fromEntries(metrics.sums), played, metrics };
}

describe("env.counter", () => {
  test("adds 1, or what it is told, under the pool and the strategy", () => {
    const { sums, played } = counting((counter) => {
      const moves = counter("cache.moves");
      moves.add();
      moves.add(2.5);
      counter("other").add(0);
    });
    expect(sums).toEqual({ "cache.moves web mine": 3.5, "other web mine": 0 });
    expect(played.lines).toEqual([]);
  });

  test("is the same for the same name, so that it may be asked for with every pick", () => {
    const { metrics, sums } = counting((counter) => {
      for (let pick = 0; pick < 100; pick++) counter("picks").add();
    });
    expect(sums).toEqual({ "picks web mine": 100 });
    expect(metrics.asked).toBe(1);
  });

  test("has 32 names; further ones count nothing, which is said once", () => {
    const { sums, played } = counting((counter) => {
      for (let name = 0; name < 100; name++) counter(`n${name}`).add();
      counter("n31").add();
    });
    expect(Object.keys(sums).length).toBe(32);
    expect(sums["n31 web mine"]).toBe(2);
    expect(played.lines.map(({ level, message }) => [level, message])).toEqual([
      ["warn", "the strategy has 32 counters already; further ones count nothing"],
    ]);
  });

  for (const [name, shown] of [
    ["", '""'],
    ["two words", '"two words"'],
    ["1st", '"1st"'],
    [undefined, "undefined"],
  ] as const) {
    test(`does not take the name ${shown}`, () => {
      const { sums, played } = counting((counter) => counter(name as string).add());
      expect(sums).toEqual({});
      expect(played.lines.map(({ message }) => message)).toEqual([
        `env.counter was given the name ${shown}, allowed 1 to 64 letters, digits, _, . and -, ` +
          "beginning with a letter; it counts nothing",
      ]);
    });
  }

  for (const n of [-1, Number.NaN, Infinity, "1" as never]) {
    test(`does not add ${n}, and says so once`, () => {
      const { sums, played } = counting((counter) => {
        const moves = counter("moves");
        moves.add(1);
        for (let time = 0; time < 3; time++) moves.add(n);
      });
      expect(sums).toEqual({ "moves web mine": 1 });
      expect(played.lines.length).toBe(1);
      expect(played.lines[0]?.message).toContain("the counter moves was given ");
    });
  }

  test("cannot be changed by the strategy, and works where nobody reads it", () => {
    let counter: StrategyCounter | undefined;
    stage((env) => {
      counter = env.counter("moves");
      return { score: () => 1 };
    });
    expect(Object.isFrozen(counter)).toBe(true);
    expect(counter?.add()).toBe(undefined);
  });
});
