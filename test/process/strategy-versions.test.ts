import { beforeEach, describe, expect, test } from "bun:test";
import { resolveConfig } from "../../src/config/resolve.ts";
import type { Provisioned } from "../../src/process/provision.ts";
import { StrategyVersions } from "../../src/process/strategy-versions.ts";

let versions: StrategyVersions;

beforeEach(() => {
  versions = new StrategyVersions();
});

/** Pools by name, each with the version of `mine` that it has, and its options. */
function provisioned(
  pools: Record<string, readonly [version: string, options?: object]>,
): Provisioned {
  const config = resolveConfig(
    {
      pools: Object.fromEntries(
        Object.entries(pools).map(([name, [, options]]) => [
          name,
          { backends: ["http://a"], strategy: { use: "random", options } },
        ]),
      ),
      routes: Object.keys(pools).map((pool) => ({ host: pool, pool })),
    },
    { baseDir: "/", cpus: 1, platform: "linux", strategies: ["random"] },
  );
  const strategies = Object.entries(pools).map(([name, [version]]) => {
    const module = { kind: "file", source: "/mine.ts", path: `/${version}.mjs`, version } as const;
    const description = { name: "mine", version, source: "/mine.ts" };
    return [name, { module, description, sources: [] }] as const;
  });
  return { config, configFile: null, strategies: Object.fromEntries(strategies), shadows: {} };
}

function versionOf(planned: Provisioned, pool: string): string {
  const options = planned.config.pools.find(({ name }) => name === pool)?.strategy.options;
  return `${planned.strategies[pool]?.description.version} ${JSON.stringify(options)}`;
}

describe("the version before", () => {
  test("is that of the last reload that brought another one, with the options that it had", () => {
    const [one, again, two] = [
      provisioned({ web: ["1", { to: 10 }] }),
      provisioned({ web: ["1", { to: 10 }] }),
      provisioned({ web: ["2", { to: 12 }] }),
    ];
    expect(versions.reloaded(one, again)).toEqual([]);
    expect(() => versions.planRollback(again, "web")).toThrow("there is nothing to roll back to");
    versions.reloaded(again, two);
    versions.reloaded(two, provisioned({ web: ["2", { to: 12 }] }));
    expect(versionOf(versions.planRollback(two, "web"), "web")).toBe('1 {"to":10}');
    expect(versions.kept.map(({ description }) => description.version)).toEqual(["1"]);
  });

  // A reload that changed nothing but options was none: the rollback went two steps back.
  test("is the same code when the last reload brought nothing but other options", () => {
    const [one, two, other] = [
      provisioned({ web: ["1", { to: 0 }] }),
      provisioned({ web: ["2", { to: 1, of: [1, 2] }] }),
      provisioned({ web: ["2", { to: 1, of: [2, 1] }] }),
    ];
    versions.reloaded(one, two);
    expect(versions.reloaded(two, other)).toEqual([]);
    const back = versions.planRollback(other, "web");
    expect(versionOf(back, "web")).toBe('2 {"to":1,"of":[1,2]}');

    versions.rolledBack(other, "web");
    expect(versions.rolledBackFrom("web")?.options).toEqual({ to: 1, of: [2, 1] });
    expect(() => versions.planRollback(back, "web")).toThrow(
      "pool web was rolled back to the former options (of) of mine 2 already, and the version before",
    );
    expect(versions.reloaded(back, provisioned({ web: ["2"] }))).toEqual([
      "pool web: the rollback to the former options (of, to) of mine 2 is over, those of the config are in force",
    ]);
  });

  test("is none when options have their keys in another order", () => {
    const [one, other] = [
      provisioned({ web: ["1", { from: 1, to: 2 }] }),
      provisioned({ web: ["1", { to: 2, from: 1 }] }),
    ];
    versions.reloaded(one, other);
    expect(() => versions.planRollback(other, "web")).toThrow("there is nothing to roll back to");
  });

  test("of one pool leaves the others as they are", () => {
    const before = provisioned({ web: ["1"], api: ["1"] });
    const after = provisioned({ web: ["2"], api: ["2"] });
    versions.reloaded(before, after);
    const planned = versions.planRollback(after, "api");
    expect([versionOf(planned, "web"), versionOf(planned, "api")]).toEqual([
      "2 undefined",
      "1 undefined",
    ]);
  });

  test("goes with its pool", () => {
    const [one, two, none] = [
      provisioned({ web: ["1"], api: ["1"] }),
      provisioned({ web: ["2"], api: ["1"] }),
      provisioned({ api: ["1"] }),
    ];
    versions.reloaded(one, two);
    versions.rolledBack(two, "web");
    versions.reloaded(one, none);
    expect(versions.kept).toEqual([]);
    expect(versions.rolledBackFrom("web")).toBeNull();
    expect(() => versions.planRollback(none, "web")).toThrow("no pool web any more");
  });
});

test("a rollback lasts until a reload, also one that finds the same version in the file", () => {
  const [one, two] = [provisioned({ web: ["1"] }), provisioned({ web: ["2"] })];
  versions.reloaded(one, two);
  const back = versions.planRollback(two, "web");
  versions.rolledBack(two, "web");
  expect(versions.rolledBackFrom("web")).toMatchObject({ name: "mine", version: "2" });
  expect(() => versions.planRollback(back, "web")).toThrow(
    "pool web was rolled back to mine 1 already, and the version before that is not kept; leastwise reload loads /mine.ts again",
  );
  expect(versions.reloaded(back, provisioned({ web: ["1"] }))).toEqual([
    "pool web: the rollback to mine 1 is over, mine 1 is loaded",
  ]);
  expect(versions.rolledBackFrom("web")).toBeNull();
  expect(() => versions.planRollback(one, "web")).toThrow("there is nothing to roll back to");
});
