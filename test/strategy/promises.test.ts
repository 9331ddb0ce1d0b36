/** Strategies that break one promise each, and the shortest history in which it shows. */
import { describe, expect, test } from "bun:test";
import type { Backend, Strategy, StrategyEnv, StrategyPlugin } from "../../src/plugin.ts";
import { BrokenPromise, keepsPromise } from "../../src/strategy/promises.ts";
import { BrokenCase, strategySuite } from "../../src/strategy/suite.ts";
import type { History } from "../../src/testing-api.ts";

function plugin(create: (env: StrategyEnv<unknown>) => Strategy): StrategyPlugin<unknown> {
  return { name: "tried", apiVersion: 1, parseOptions: (raw) => raw, create };
}

/** What types forbid is what the suite is for. */
function careless(create: (env: StrategyEnv<unknown>) => unknown): StrategyPlugin<unknown> {
  return plugin(create as (env: StrategyEnv<unknown>) => Strategy);
}

function brokenCases(tried: StrategyPlugin<unknown>, options?: unknown): Map<string, BrokenCase> {
  const broken = new Map<string, BrokenCase>();
  for (const { name, run } of strategySuite(tried, options)) {
    try {
      run();
    } catch (thrown) {
      if (!(thrown instanceof BrokenCase)) throw thrown;
      broken.set(name, thrown);
    }
  }
  return broken;
}

const REPEATABLE = "answers the same when clock and randomness are the same";
const APART = "keeps the state of two pools apart";
const READONLY = "changes nothing that it is given";
const RANDOM = "answers all of 10,000 picks of random histories";
const SNAPSHOT = "hands what it knows to the next instance, as JSON";
const OLDER = "starts from nothing, whatever an older version of it left";

/** Of a pool's backends the first with the fewest in flight. */
function fewest(candidates: readonly Backend[]): Backend {
  return candidates.reduce((one, other) => (other.inFlight < one.inFlight ? other : one));
}

let moduleState = 0;

const breaches: readonly (readonly [
  what: string,
  tried: StrategyPlugin<unknown>,
  cases: readonly string[],
  explanation: string,
])[] = [
  [
    "Math.random",
    plugin(() => ({ pick: (list) => list[Math.floor(Math.random() * list.length)] ?? list[0] })),
    [REPEATABLE],
    "take the time from env.now() and chance from env.random()",
  ],
  [
    // Two runs within the same millisecond would be the same.
    "Date.now, although only differences count",
    plugin(() => {
      let before = Date.now();
      return {
        pick(list) {
          const now = Date.now();
          const isLate = now - before > 1000;
          before = now;
          return (isLate ? list.at(-1) : list[0]) ?? null;
        },
      };
    }),
    [REPEATABLE],
    "different picks",
  ],
  [
    "new Date()",
    plugin(() => ({ pick: (list) => list[new Date().getHours() % list.length] ?? null })),
    [REPEATABLE],
    "different picks",
  ],
  [
    "performance.now",
    plugin(() => ({
      pick: (list) => list[Math.floor(performance.now() / 1000) % list.length] ?? null,
    })),
    [REPEATABLE],
    "different picks",
  ],
  [
    "process.hrtime",
    plugin(() => ({
      pick: (list) => list[Number(process.hrtime.bigint() / 1_000_000_000n) % list.length] ?? null,
    })),
    [REPEATABLE],
    "different picks",
  ],
  [
    "process.hrtime, as the time since an earlier look",
    plugin(() => {
      const start = process.hrtime();
      return { pick: (list) => list[process.hrtime(start)[0] % list.length] ?? null };
    }),
    [REPEATABLE],
    "different picks",
  ],
  [
    "Date(), called without new",
    plugin(() => ({ pick: (list) => list[Date.parse(Date()) % list.length] ?? null })),
    [REPEATABLE],
    "different picks",
  ],
  [
    "crypto",
    plugin(() => ({
      pick: (list) =>
        list[
          (Number.parseInt(crypto.randomUUID().slice(0, 4), 16) +
            Number(crypto.getRandomValues(new Uint8Array(1))[0])) %
            list.length
        ] ?? null,
    })),
    [REPEATABLE],
    "different picks",
  ],
  [
    "state at the top of the file",
    plugin(() => ({ pick: (list) => list[moduleState++ % list.length] ?? null })),
    [REPEATABLE, APART],
    "state",
  ],
  [
    "sorting the candidates",
    careless(() => ({
      pick: (list: Backend[]) => list.sort((a, b) => a.inFlight - b.inFlight)[0],
    })),
    [READONLY],
    "copy before you change",
  ],
  [
    "removing the candidate that it takes",
    careless(() => ({ pick: (list: Backend[]) => list.pop() })),
    [READONLY],
    "copy before you change",
  ],
  [
    "counting in the backend",
    careless(() => ({
      score: (backend: { inFlight: number }) => backend.inFlight,
      onStart: ({ backend }: { backend: { inFlight: number } }) => void backend.inFlight++,
    })),
    [READONLY],
    "onStart changes what it was given",
  ],
  [
    "marking the attempt",
    careless(() => ({
      score: () => 1,
      onStart: (attempt: { mark?: number }) => void (attempt.mark = 1),
    })),
    [READONLY],
    "onStart changes what it was given",
  ],
  [
    "a snapshot that JSON cannot hold",
    plugin((env) => ({
      score: () => (env.previous ? 0 : 1),
      snapshot: () => ({ seen: new Map() }),
    })),
    [SNAPSHOT],
    "seen is a Map",
  ],
  [
    "a snapshot that contains itself",
    plugin((env) => {
      const state: { seen: number; self?: unknown } = { seen: env.previous ? 0 : 1 };
      state.self = state;
      return { score: () => state.seen, snapshot: () => state };
    }),
    [SNAPSHOT],
    "self leads back to the whole, in a circle",
  ],
  [
    "a snapshot that nobody reads",
    plugin(() => ({ score: () => 1, snapshot: () => ({ seen: 1 }) })),
    [SNAPSHOT],
    "nothing reads env.previous",
  ],
  [
    "trusting what an older version left",
    careless((env) => {
      const { seen } = (env.previous ?? { seen: [] }) as { seen: readonly string[] };
      return { score: () => seen.length, snapshot: () => ({ seen }) };
    }),
    [OLDER],
    "when env.previous is 0, score threw",
  ],
  [
    "a dispose that works once",
    plugin(() => {
      let seen: Map<string, number> | null = new Map();
      return {
        score: () => 1,
        dispose() {
          (seen as Map<string, number>).clear();
          seen = null;
        },
      };
    }),
    ["may be disposed of twice"],
    "disposed of twice, dispose threw",
  ],
];

describe("each breach is found, and nothing else is blamed", () => {
  for (const [what, tried, cases, explanation] of breaches) {
    test(what, () => {
      const broken = brokenCases(tried);
      expect([...broken.keys()]).toEqual([...cases]);
      for (const { explanation: found } of broken.values()) expect(found).toContain(explanation);
    });
  }
});

describe("the shortest history", () => {
  test("of a strategy that clings to a backend that has left", () => {
    const clinging = plugin(() => {
      let first: Backend | undefined;
      return { pick: (list) => (first ??= list[0]) };
    });
    const found = brokenCases(clinging).get(RANDOM);
    expect(found?.history.weights.length).toBeLessThanOrEqual(2);
    // Somebody is picked, then is not among the candidates.
    expect(found?.history.steps.length).toBeLessThanOrEqual(3);
    expect(found?.explanation).toContain("which is not a candidate");
  });

  test("of a score that a failed attempt makes NaN", () => {
    const averaging = plugin(() => {
      const known = new Map<string, number>();
      return {
        score: ({ id }) => known.get(id) ?? 0,
        onEnd({ backend }, { firstByteMs, status }) {
          known.set(backend.id, Number(firstByteMs) / (status === null ? 0 : 1));
        },
      };
    });
    const found = brokenCases(averaging).get(RANDOM);
    expect(found?.history.weights).toEqual([1]);
    expect(found?.history.steps.map(([what]) => what)).toEqual(["pick", "end", "pick"]);
  });

  test("fails again when it is played again, with the same explanation", () => {
    const tried = breaches[0]?.[1] as StrategyPlugin<unknown>;
    const { promise, history, explanation } = brokenCases(tried).get(REPEATABLE) as BrokenCase;
    expect(() => keepsPromise(promise, tried, history)).toThrow(explanation);
  });

  test("keeps the options", () => {
    const tried = plugin(({ options }) => ({
      score: () => ((options as { factor: number }).factor > 1 ? NaN : 1),
    }));
    const broken = brokenCases(tried, { factor: 2 });
    expect(broken.get(RANDOM)?.history.options).toEqual({ factor: 2 });
    expect(brokenCases(tried, { factor: 1 }).size).toBe(0);
  });
});

test("a strategy that keeps everything is not blamed for state in create, time and chance of its env", () => {
  const good = plugin((env) => {
    const failedAt = env.perBackend(() => ({ ms: -Infinity }));
    const before = (env.previous as { picks?: unknown } | null | undefined)?.picks;
    let picks = typeof before === "number" ? before : 0;
    return {
      pick(list) {
        picks++;
        const calm = list.filter((one) => env.now() - failedAt(one).ms > 1000);
        const some = calm.length > 0 ? calm : [...list];
        return env.random() < 0.5 ? fewest(some) : (some[picks % some.length] ?? null);
      },
      onEnd({ backend }, { outcome }) {
        if (outcome !== "ok") failedAt(backend).ms = env.now();
      },
      snapshot: () => ({ picks }),
    };
  });
  expect([...brokenCases(good).keys()]).toEqual([]);
});

describe("keepsPromise", () => {
  const history: History = { seed: 1, weights: [1], steps: [["pick"]] };
  const idle = plugin(() => ({ score: () => 1 }));

  test("refuses a promise that there is not, and names those there are", () => {
    expect(() => keepsPromise("speed" as "apart", idle, history)).toThrow(
      'keepsPromise was given "speed", allowed answers, readonly, repeatable, apart, snapshot, dispose',
    );
  });

  test("throws what breaks it", () => {
    expect(() =>
      keepsPromise(
        "answers",
        plugin(() => ({ score: () => NaN })),
        history,
      ),
    ).toThrow(BrokenPromise);
    keepsPromise("answers", idle, history);
  });
});

test("clock and randomness of the runtime are back in their place afterwards", () => {
  const before = [Date, Date.now, Math.random, performance.now, crypto.randomUUID];
  brokenCases(plugin(() => ({ score: () => Math.random() })));
  expect([Date, Date.now, Math.random, performance.now, crypto.randomUUID]).toEqual(before);
});
