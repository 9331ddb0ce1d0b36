import { describe, expect, test } from "bun:test";
import { ConfigError } from "../../src/errors.ts";
import type { Backend } from "../../src/plugin.ts";
import { a, b, backend, rejected, ignore, stage } from "../_support/stage.ts";

function problemsOf(run: () => unknown): string[] {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof ConfigError) return thrown.problems.map((p) => `${p.path}: ${p.message}`);
    throw thrown;
  }
  throw new Error("expected a ConfigError");
}

describe("what a strategy is given", () => {
  test("is the pool, its options, clock, randomness and log", () => {
    const played = stage(
      (env) => {
        env.log.info(`${env.pool} ${env.options} ${env.now()} ${env.random() < 1}`);
        return { score: () => 1 };
      },
      { options: "raw", parseOptions: (raw) => `parsed ${raw}` },
    );
    expect(played.lines).toEqual([
      {
        level: "info",
        message: "web parsed raw 0 true",
        fields: { pool: "web", strategy: "mine" },
      },
    ]);
  });

  test("is frozen", () => {
    const given: unknown[] = [];
    stage((env) => {
      given.push(env, env.log);
      return { score: () => 1, onPoolChange: (list: unknown) => void given.push(list) };
    });
    expect(given.map((one) => Object.isFrozen(one))).toEqual([true, true, true]);
  });
});

describe("options", () => {
  test("are parsed without any in the config too, so that the plugin fills in its defaults", () => {
    let found: unknown;
    stage(
      (env) => {
        found = env.options;
        return { score: () => 1 };
      },
      { parseOptions: (raw) => raw ?? "default" },
    );
    expect(found).toBe("default");
  });
});

test("a strategy may carry data and methods of its own", () => {
  const played = stage(() => ({ score: () => 1, table: new Map(), _weigh() {} }));
  expect(played.pick([a])).toEqual({ backend: a, fallback: false });
});

describe("state per backend", () => {
  test("is made on first use and then the same, also for an attempt that ends after its backend left", () => {
    let made = 0;
    let stateOf: ((one: Backend) => { n: number }) | undefined;
    const played = stage((env) => {
      stateOf = env.perBackend(() => ({ n: ++made }));
      return { score: () => 1 };
    });
    expect(made).toBe(0);
    expect(stateOf?.(a)).toEqual({ n: 1 });
    expect(stateOf?.(b)).toEqual({ n: 2 });
    played.host.setBackends([b]);
    expect(stateOf?.(a)).toEqual({ n: 1 });
    // The same id, but another backend.
    expect(stateOf?.(backend("a", 0))).toEqual({ n: 3 });
  });

  test("may be undefined", () => {
    let made = 0;
    stage((env) => {
      const stateOf = env.perBackend(() => void made++);
      stateOf(a);
      stateOf(a);
      return { score: () => 1 };
    });
    expect(made).toBe(1);
  });
});

describe("no strategy comes into being", () => {
  const refusals: readonly (readonly [
    situation: string,
    run: () => unknown,
    problems: readonly string[],
  ])[] = [
    [
      "when options are given to a plugin that takes none",
      () => stage(() => ({ score: () => 1 }), { options: { zone: "a" } }),
      ['pools.web.strategy.options: mine takes no options, found {"zone":"a"}'],
    ],
    [
      "when the options are rejected",
      () =>
        stage(() => ({ score: () => 1 }), {
          parseOptions() {
            throw new Error("zone must be text, found 5");
          },
        }),
      ["pools.web.strategy.options: mine rejects its options: zone must be text, found 5"],
    ],
    [
      "when parseOptions is asynchronous",
      () => stage(() => ({ score: () => 1 }), { parseOptions: rejected }),
      [
        "pools.web.strategy.options: parseOptions returned a Promise, but it must return the options at once",
      ],
    ],
    [
      "when create throws",
      () =>
        stage(() => {
          throw new Error("no idea");
        }),
      ["pools.web.strategy: create threw: no idea"],
    ],
    [
      "when create returns nothing",
      () => stage(ignore),
      ["pools.web.strategy: create returned undefined, but it must return a strategy object"],
    ],
    [
      "when create is asynchronous",
      () => stage(rejected),
      ["pools.web.strategy: create returned a Promise, but it must return a strategy object"],
    ],
    [
      "when there is neither score nor pick",
      () => stage(() => ({ onEnd() {} })),
      ["pools.web.strategy: create returned a strategy with neither score nor pick, found onEnd"],
    ],
    [
      "when there is nothing",
      () => stage(() => ({})),
      ["pools.web.strategy: create returned a strategy with neither score nor pick, found nothing"],
    ],
    [
      "when score is misspelt",
      () => stage(() => ({ scor: () => 1, onEnd() {} })),
      [
        'pools.web.strategy: create returned a strategy with neither score nor pick, found scor, onEnd; did you mean "score"?',
      ],
    ],
    [
      "when a hook is misspelt",
      () => stage(() => ({ score: () => 1, onstart() {} })),
      [
        'pools.web.strategy: onstart is no method of a strategy, allowed score, pick, onPoolChange, onHealthChange, onStart, onResponse, onEnd, snapshot, dispose, or a name that starts with _; did you mean "onStart"?',
      ],
    ],
    [
      "when a hook of a class is misspelt",
      () =>
        stage(
          () =>
            new (class {
              score(): number {
                return this.weigh();
              }
              weigh(): number {
                return 1;
              }
              onend(): void {}
            })(),
        ),
      [
        'pools.web.strategy: onend is no method of a strategy, allowed score, pick, onPoolChange, onHealthChange, onStart, onResponse, onEnd, snapshot, dispose, or a name that starts with _; did you mean "onEnd"?',
      ],
    ],
    [
      "when methods are no functions",
      () => stage(() => ({ score: 5, onEnd: null })),
      [
        "pools.web.strategy: score is 5, but it must be a function",
        "pools.web.strategy: onEnd is null, but it must be a function",
      ],
    ],
  ];

  for (const [situation, run, problems] of refusals) {
    test(situation, () => {
      expect(problemsOf(run)).toEqual([...problems]);
    });
  }
});
