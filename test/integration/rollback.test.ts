/** A pool's strategy returns to the version before, while the compiled binary serves. */
import { expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { UserConfig } from "../../src/index.ts";
import { useHarness } from "../_support/harness.ts";
import type { Proxy } from "../_support/proxy.ts";

const { backend, proxy } = useHarness();

/** Sends everything to the backend with this id. */
function only(id: string): string {
  return `export default { name: "only", apiVersion: 1, create: () => ({
    score: (backend) => (backend.id === "${id}" ? 0 : 1) }) };`;
}

/** The one of its options, which no other version takes. */
const BY_OPTIONS = `export default { name: "only", apiVersion: 1,
  parseOptions(raw) { if (raw?.id !== "c") throw new Error("no id"); return raw; },
  create: ({ options }) => ({ score: (backend) => (backend.id === options.id ? 0 : 1) }) };`;

interface Stage {
  readonly front: Proxy;
  readonly config: UserConfig;
  /** Another text in the strategy's file, and a reload. */
  load(text: string): Promise<void>;
  /** Who answers a few requests, in order. */
  answers(): Promise<string>;
  versions(): Promise<string>;
}

async function stage(): Promise<Stage> {
  const backends = ["a", "b", "c"].map((id) => ({ id, url: backend(() => id).url }));
  const config: UserConfig = {
    pools: { web: { backends, strategy: "./mine.ts" } },
    workers: 2,
  };
  const front = await proxy({ config, files: { "mine.ts": only("a") } });
  return {
    front,
    config,
    async load(text) {
      writeFileSync(join(front.folder, "mine.ts"), text);
      expect(await front.reload()).toMatchObject({ ok: true });
    },
    async answers() {
      const bodies = Array.from({ length: 8 }, async () => (await fetch(front.url)).text());
      return (await Promise.all(bodies)).join("");
    },
    async versions() {
      const [pool] = await front.pools();
      return pool?.strategy.version ?? "";
    },
  };
}

test("back at the version before, which says so, and a reload takes the file again", async () => {
  const { front, load, answers, versions } = await stage();
  const first = await versions();
  await load(only("b"));
  const second = await versions();
  expect(await answers()).toBe("b".repeat(8));

  const { exitCode, stdout, stderr } = await front.run("plugin", "rollback", "web");
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  expect(stdout).toBe(
    `pool web is back at only ${first}, from only ${second}; leastwise reload loads its file again\n`,
  );
  expect(await answers()).toBe("a".repeat(8));
  expect((await front.run("status")).stdout).toContain(`rolled back from ${second}`);
  expect((await front.run("plugin", "list")).stdout).toMatch(
    new RegExp(`web +only +${first} +rolled back +0`),
  );

  const reloaded = await front.run("reload");
  expect(reloaded.stdout).toContain(
    `pool web: the rollback to only ${first} is over, only ${second} is loaded\n`,
  );
  expect(await answers()).toBe("b".repeat(8));
  expect((await front.run("status")).stdout).not.toContain("rolled back");
  // Once it is over, there is a version before again.
  expect((await front.run("plugin", "rollback", "web")).exitCode).toBe(0);
  expect(await answers()).toBe("a".repeat(8));
});

test("survives workers that are replaced, and a reload that is refused", async () => {
  const { front, load, answers } = await stage();
  await load(only("b"));
  expect((await front.run("plugin", "rollback", "web")).exitCode).toBe(0);
  expect((await front.run("recycle")).exitCode).toBe(0);
  expect(await answers()).toBe("a".repeat(8));
  const before = (await front.workers()).map(({ pid }) => pid);
  for (const pid of before) process.kill(pid, "SIGKILL");
  for (;;) {
    const now = await front.workers();
    if (now.every(({ pid, state }) => state === "serving" && !before.includes(pid))) break;
    await Bun.sleep(10);
  }
  expect(await answers()).toBe("a".repeat(8));

  writeFileSync(join(front.folder, "mine.ts"), "export default 7");
  expect(await front.reload()).toMatchObject({ ok: false });
  expect(await answers()).toBe("a".repeat(8));
  expect((await front.run("status")).stdout).toContain("rolled back from");
});

test("asked for during a reload, it takes back what that reload brings, and names it", async () => {
  const { front, load, answers, versions } = await stage();
  await load(only("b"));
  const second = await versions();
  const third = load(`await Bun.sleep(1500); ${only("c")}`);
  const { stdout } = await front.run("plugin", "rollback", "web", "--json");
  await third;
  const report = JSON.parse(stdout) as Record<"strategy" | "before", { version: string }>;
  expect(report.strategy.version).toBe(second);
  expect(report.before.version).not.toBe(second);
  expect(await answers()).toBe("b".repeat(8));
});

test("with the options that the version before had", async () => {
  const { front, config, load, answers } = await stage();
  const { backends } = config.pools?.["web"] ?? { backends: [] };
  writeFileSync(join(front.folder, "mine.ts"), BY_OPTIONS);
  const strategy = { use: "./mine.ts", options: { id: "c" } };
  front.configure({ ...config, pools: { web: { backends, strategy } } });
  expect(await front.reload()).toMatchObject({ ok: true, problems: [] });
  expect(await answers()).toBe("c".repeat(8));
  expect((await front.run("plugin", "rollback", "web")).stderr).toBe("");
  expect(await answers()).toBe("a".repeat(8));
  front.configure(config);
  await load(only("b"));
  expect(await answers()).toBe("b".repeat(8));
});

/** The one of its options. */
const ANY_BY_OPTIONS = BY_OPTIONS.replace(/if .*? throw new Error\("no id"\); /, "");

// A change of options was no version: the first rollback went two steps back, the second to nothing.
test("a change of nothing but options is taken back, and told with them", async () => {
  const { front, config, load, answers, versions } = await stage();
  const { backends } = config.pools?.["web"] ?? { backends: [] };
  const give = async (id: string): Promise<void> => {
    const strategy = { use: "./mine.ts", options: { id } };
    front.configure({ ...config, pools: { web: { backends, strategy } } });
    expect(await front.reload()).toMatchObject({ ok: true, problems: [] });
  };
  writeFileSync(join(front.folder, "mine.ts"), ANY_BY_OPTIONS);
  await give("b");
  await give("c");
  expect(await answers()).toBe("c".repeat(8));
  const version = await versions();

  const { exitCode, stdout, stderr } = await front.run("plugin", "rollback", "web");
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  expect(stdout).toBe(
    `pool web is back at the former options (id) of only ${version}; ` +
      "leastwise reload takes those of the config again\n",
  );
  expect(await answers()).toBe("b".repeat(8));
  expect((await front.run("status")).stdout).toContain(
    `rolled back from ${version} with other options`,
  );
  expect(front.log()).toContain(`"before":"only ${version}","changedOptions":"id"`);

  const reloaded = await front.run("reload");
  expect(reloaded.stdout).toContain(
    `the rollback to the former options (id) of only ${version} is over, those of the config are in force\n`,
  );
  expect(await answers()).toBe("c".repeat(8));
  const json = await front.run("plugin", "rollback", "web", "--json");
  expect(JSON.parse(json.stdout)).toMatchObject({
    strategy: { version, options: { id: "b" } },
    before: { version, options: { id: "c" } },
  });
  front.configure(config);
  await load(only("a"));
  expect(await answers()).toBe("a".repeat(8));
});

test("also when its file, and the one it was bundled to, are gone", async () => {
  const { front, load, answers } = await stage();
  await load(only("b"));
  await load(only("c"));
  rmSync(join(front.folder, "mine.ts"));
  expect((await front.run("plugin", "rollback", "web")).stderr).toBe("");
  expect(await answers()).toBe("b".repeat(8));
});

test("where there is nothing to return to, it says why and changes nothing", async () => {
  const { front, load, answers, versions } = await stage();
  const roll = (...args: string[]) => front.run("plugin", "rollback", ...args);
  const first = await versions();
  const none = await roll("web");
  expect(none.exitCode).toBe(1);
  expect(none.stderr).toContain(
    `pool web has had no other strategy than only ${first} since leastwise started: there is nothing to roll back to`,
  );
  // Nothing has changed, so there is no other version either.
  await load(only("a"));
  expect((await roll("web")).exitCode).toBe(1);

  await load(only("b"));
  expect((await roll("web", "--json")).stdout).toContain(first);
  const twice = await roll("web");
  expect(twice.exitCode).toBe(1);
  expect(twice.stderr).toMatch(
    /pool web was rolled back to only \w+ already, .* leastwise reload loads \S+mine.ts again/,
  );
  expect(await answers()).toBe("a".repeat(8));

  const unknown = await roll("wbe");
  expect(unknown.exitCode).toBe(1);
  expect(unknown.stderr).toContain('no pool "wbe", there is web; did you mean "web"?');
  expect(await roll()).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("POOL") });
});

test("refused by a worker it changes nothing, and can be tried again", async () => {
  const { front, load, answers } = await stage();
  const flag = join(front.folder, "refuse");
  await load(
    `import { existsSync } from "node:fs";
     const plugin = ${only("c").replace("export default", "")}
     export default { ...plugin, create(env) {
       if (existsSync(${JSON.stringify(flag)})) throw new Error("not now");
       return plugin.create(env); } };`,
  );
  await load(only("b"));
  writeFileSync(flag, "");
  const refused = await front.run("plugin", "rollback", "web");
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toMatch(/not rolled back: pools\.web\.strategy: create threw: .*not now/);
  expect(await answers()).toBe("b".repeat(8));
  expect((await front.run("status")).stdout).not.toContain("rolled back");
  rmSync(flag);
  expect((await front.run("plugin", "rollback", "web")).stderr).toBe("");
  expect(await answers()).toBe("c".repeat(8));
});
