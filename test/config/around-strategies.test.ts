/** What stands around every strategy: sticky sessions, slow start, backups. */
import { describe, expect, test } from "bun:test";
import { configJsonSchema } from "../../src/config/json-schema.ts";
import { resolveConfig } from "../../src/config/resolve.ts";
import { ConfigError } from "../../src/errors.ts";

const context = {
  baseDir: import.meta.dir,
  cpus: 1,
  platform: "linux",
  strategies: ["least-connections"],
};

type Pool = Readonly<Record<string, unknown>>;

function withPools(pools: Readonly<Record<string, Pool>>): unknown {
  const filled = Object.entries(pools).map(([name, pool]) => [
    name,
    { backends: ["http://a:1"], ...pool },
  ]);
  const names = Object.keys(pools);
  return {
    pools: Object.fromEntries(filled),
    ...(names.length > 1 ? { routes: names.map((pool) => ({ path: `/${pool}`, pool })) } : {}),
  };
}

function resolved(pool: Pool) {
  return resolveConfig(withPools({ web: pool }), context).pools[0];
}

function problemsOf(pools: Readonly<Record<string, Pool>>): string[] {
  try {
    resolveConfig(withPools(pools), context);
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    return thrown.problems.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
}

describe("defaults", () => {
  test("of sticky sessions and slow start, where they are asked for", () => {
    expect(resolved({ affinity: {}, slowStart: {} })).toMatchObject({
      affinity: { cookie: "lw", ttlMs: 3_600_000, secret: null },
      slowStart: { windowMs: 30_000, minWeight: 0.1, aggression: 1 },
    });
  });

  test("a backend is no backup unless it says so", () => {
    const backends = ["http://a:1", { url: "http://b:1" }, { url: "http://c:1", backup: true }];
    expect(resolved({ backends })?.backends.map(({ backup }) => backup)).toEqual([
      false,
      false,
      true,
    ]);
  });
});

describe("a mistake", () => {
  const mistakes: readonly (readonly [what: string, pool: Pool, problems: readonly string[]])[] = [
    [
      "a cookie whose name browsers refuse",
      { affinity: { cookie: "my cookie" } },
      [
        'pools.web.affinity.cookie: found "my cookie", allowed 1 to 64 letters, digits and other characters of a cookie\'s name',
      ],
    ],
    [
      "a session of no length",
      { affinity: { ttl: "500ms" } },
      [
        'pools.web.affinity.ttl: found "500ms" (too short), allowed a duration such as "250ms", "5s", "1m" or "1h" of at least 1s',
      ],
    ],
    [
      "a secret that can be guessed, which is not shown",
      { affinity: { secret: "hunter2" } },
      ["pools.web.affinity.secret: found a text, allowed a text of at least 16 characters"],
    ],
    [
      "a secret that is a number, which is not shown either",
      { affinity: { secret: 1234567890 } },
      ["pools.web.affinity.secret: found a number, allowed a text of at least 16 characters"],
    ],
    [
      "an unknown key of sticky sessions",
      { affinity: { cokie: "a" } },
      [
        'pools.web.affinity.cokie: unknown key, allowed cookie, ttl, secret; did you mean "cookie"?',
      ],
    ],
    [
      "sticky sessions that are merely true",
      { affinity: true },
      ["pools.web.affinity: found true, allowed an object with cookie, ttl, secret"],
    ],
    [
      "numbers of a slow start that would divide by nothing, or do nothing",
      { slowStart: { window: "1s", minWeight: 0, aggression: 0 } },
      [
        'pools.web.slowStart.window: found "1s" (too short), allowed a duration such as "250ms", "5s", "1m" or "1h" of at least 2s',
        "pools.web.slowStart.minWeight: found 0, allowed a number from 0.001 to 1",
        "pools.web.slowStart.aggression: found 0, allowed a number from 0.1 to 100",
      ],
    ],
    [
      "an unknown key of a slow start",
      { slowStart: { windows: "10s" } },
      [
        'pools.web.slowStart.windows: unknown key, allowed window, minWeight, aggression; did you mean "window"?',
      ],
    ],
    [
      "a backup by another word",
      { backends: ["http://a:1", { url: "http://b:1", backup: "yes" }] },
      ['pools.web.backends[1].backup: found "yes", allowed true or false'],
    ],
    [
      "nobody to be a backup for",
      { backends: [{ url: "http://b:1", backup: true }] },
      ["pools.web.backends: found backups only, allowed at least one backend without backup: true"],
    ],
  ];
  for (const [what, pool, problems] of mistakes) {
    test(what, () => {
      expect(problemsOf({ web: pool })).toEqual([...problems]);
    });
  }

  test("sticky sessions that are no object, in two pools: no cookie is said to be there twice", () => {
    const wrong = "found true, allowed an object with cookie, ttl, secret";
    expect(problemsOf({ web: { affinity: {} }, api: { affinity: true } })).toEqual([
      `pools.api.affinity: ${wrong}`,
    ]);
  });

  test("two pools with one cookie, of which a browser would keep the last", () => {
    expect(problemsOf({ web: { affinity: {} }, api: { affinity: { cookie: "lw" } } })).toEqual([
      'pools.api.affinity.cookie: found "lw" a second time, after pools.web.affinity.cookie; allowed a name that no other pool has, such as "lw-api"',
    ]);
    expect(problemsOf({ web: { affinity: {} }, api: { affinity: { cookie: "lw-api" } } })).toEqual(
      [],
    );
  });
});

test("the JSON schema knows the keys, with their limits", () => {
  const text = JSON.stringify(configJsonSchema());
  for (const key of ["affinity", "slowStart", "aggression", "backup"]) {
    expect(text).toContain(`"${key}":{`);
  }
  expect(text).toContain('"minimum":0.001,"maximum":1');
  expect(text).toContain('"minLength":16');
});
