/** `leastwise plugin …`, run as a program: what it writes, says, and ends with. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, readdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import about from "../../../package.json" with { type: "json" };
import { type Folder, folderWith } from "../../_support/leastwise.ts";

// Every run is a program and a child or two.
setDefaultTimeout(60_000);

interface Rule {
  readonly rule: string;
  readonly ok: boolean;
  readonly explanation: string | null;
  readonly test: string | null;
}

interface Report {
  readonly ok: boolean;
  readonly name: string | null;
  readonly rules: readonly Rule[];
}

async function check(
  folder: Folder,
  ...args: string[]
): Promise<{ readonly exitCode: number; readonly report: Report }> {
  const { exitCode, stdout, stderr } = await folder.run(["plugin", "check", ...args, "--json"]);
  if (stdout === "") throw new Error(stderr);
  return { exitCode, report: JSON.parse(stdout) as Report };
}

function strategy(methods: string): string {
  return `import { defineStrategy } from "leastwise";
export default defineStrategy({ name: "tried", apiVersion: 1, create: (env) => (${methods}) });
`;
}

const GOOD = strategy("{ score: (backend) => backend.inFlight / backend.weight }");
const CHANCE = strategy(
  "{ pick: (list) => list[Math.floor(Math.random() * list.length)] ?? null }",
);

/** Not asked of a value, or old names that Bun's own types do not have either. */
const NO_MATCHERS = new Set([
  "constructor",
  "lastReturnedWith",
  "not",
  "nthReturnedWith",
  "rejects",
  "resolves",
  "toReturn",
]);

/** Most of what there is, as tests of strategies use it. */
const USES = `import { describe, expect, mock, setSystemTime, spyOn, test } from "bun:test";
import { complete, rehearse } from "leastwise/testing";
import { defineStrategy } from "leastwise";

describe.if(true)("values", () => {
  test("kinds", () => {
    expect([1, 2]).toBeArray();
    expect([1, 2]).toBeArrayOfSize(2);
    expect("").toBeEmpty();
    expect({}).toBeEmptyObject();
    expect(null).toBeNil();
    expect(true).toBeBoolean();
    expect(new Date(0)).toBeDate();
    expect(new Date(0)).toBeValidDate();
    expect(Date.now).toBeFunction();
    expect({}).toBeObject();
    expect("a").toBeString();
    expect(Symbol("a")).toBeSymbol();
    expect(1n).toBeTypeOf("bigint");
    expect(new Map()).toBeInstanceOf(Map);
    expect("a").toBeOneOf(["a", "b"]);
    expect(7).toSatisfy((found: number) => found > 6);
  });
  test.each([[1, 2], [3, 4]])("numbers %i", (odd, even) => {
    expect(odd).toBeOdd();
    expect(even).toBeEven();
    expect(odd).toBeNumber();
    expect(odd).toBeInteger();
    expect(odd).toBePositive();
    expect(-even).toBeNegative();
    expect(10n).toBeGreaterThan(5n);
    expect(odd / 3).toBeCloseTo(odd / 3.0001, 3);
    expect(odd).toBeWithin(0, 5);
  });
  test("texts and keys", () => {
    expect("a b").toInclude("b");
    expect("a b a").toIncludeRepeated("a", 2);
    expect(" a  b ").toEqualIgnoringWhitespace("a b");
    expect({ a: 1, b: 2 }).toContainKey("a");
    expect({ a: 1, b: 2 }).toContainKeys(["a", "b"]);
    expect({ a: 1, b: 2 }).toContainAllKeys(["b", "a"]);
    expect({ a: 1, b: 2 }).toContainAnyKeys(["b", "c"]);
    expect({ a: 1, b: 2 }).toContainValue(2);
    expect({ a: 1, b: 2 }).toContainValues([2]);
    expect({ a: 1, b: 2 }).toContainAllValues([2, 1]);
    expect({ a: 1, b: 2 }).toContainAnyValues([2, 3]);
    expect(["a"]).toHaveProperty([0], "a");
    expect({ a: "b" }).toEqual({ a: expect.not.stringContaining("c") });
  });
  test("what is thrown", async () => {
    const fail = (): never => {
      throw new RangeError("far");
    };
    expect(fail).toThrowError(RangeError);
    expect(fail).toThrow({ message: "far" });
    expect(fail).toThrowErrorMatchingInlineSnapshot('"far"');
    await expect(Promise.reject(new Error("far"))).rejects.toThrow("far");
  }, { timeout: 5000 });
});

test("a mock is asked", () => {
  const add = mock((one: number, other: number) => one + other).mockName("add");
  add(1, 2);
  add(3, 4);
  expect(add).toHaveBeenCalled();
  expect(add).toHaveBeenCalledTimes(2);
  expect(add).toHaveBeenCalledWith(1, 2);
  expect(add).toHaveBeenLastCalledWith(3, 4);
  expect(add).toHaveBeenNthCalledWith(1, 1, 2);
  expect(add).toHaveReturned();
  expect(add).toHaveReturnedTimes(2);
  expect(add).toHaveReturnedWith(3);
  expect(add).toHaveLastReturnedWith(7);
  expect(add).toHaveNthReturnedWith(1, 3);
  expect(add.mock.lastCall).toEqual([3, 4]);
  const sum: number = add.mockReturnValueOnce(9)(1, 1);
  expect(sum).toBe(9);
  const anything = mock();
  anything("a", 1);
  expect(anything).toHaveBeenCalledOnce();
});

test("a spy stands in front of a method", () => {
  {
    using chance = spyOn(Math, "random").mockReturnValue(0.5);
    expect(Math.random()).toBe(0.5);
    expect(chance).toHaveBeenCalledOnce();
  }
  const log = spyOn(console, "log").mockImplementation(() => {});
  console.log("a");
  expect(log.mock.calls).toEqual([["a"]]);
  mock.restore();
  setSystemTime(5);
  expect(Date.now()).toBe(5);
  setSystemTime();
});

test("as the hook of a strategy", () => {
  const onEnd = mock<(attempt: { readonly id: number }) => void>();
  const strategy = defineStrategy({ name: "a", apiVersion: 1, create: () => ({ score: () => 1, onEnd }) });
  complete(rehearse(strategy).send());
  expect(onEnd).toHaveBeenCalledOnce();
  expect(onEnd.mock.calls[0]?.[0]).toMatchObject({ id: expect.any(Number) });
});

test.failing("what fails", () => {
  expect.unreachable();
});
test.skipIf(true)("what is left out", () => {});
`;

describe("plugin init", () => {
  test("writes a strategy, its test and the API, and all of it is right", async () => {
    await using folder = await folderWith({});
    const { exitCode, stdout, stderr } = await folder.run(["plugin", "init", "mine"]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toBe(
      "wrote mine.ts\nwrote mine.test.ts\nwrote tsconfig.json\nwrote .leastwise/\n" +
        "next: leastwise plugin test, leastwise plugin check mine.ts\n",
    );
    expect((await readdir(folder.path)).toSorted()).toEqual([
      ".leastwise",
      "mine.test.ts",
      "mine.ts",
      "tsconfig.json",
    ]);
    const types = Bun.spawn([process.execPath, "check", "--no-script"], {
      cwd: folder.path,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = (await types.stdout.text()) + (await types.stderr.text());
    expect({ exitCode: await types.exited, output }).toEqual({
      exitCode: 0,
      output: expect.stringContaining("No type errors in 2 files"),
    });
    const tests = await folder.run(["plugin", "test"]);
    expect(tests.exitCode, tests.stderr).toBe(0);
    expect(tests.stderr).toContain(" 0 fail");
    const { exitCode: checked, report } = await check(folder, "mine.ts");
    expect({ checked, broken: report.rules.filter(({ ok }) => !ok) }).toEqual({
      checked: 0,
      broken: [],
    });
  });

  // A test that passed was red in the editor: the written types knew mock, but nothing to ask it.
  test("what tests are written with has types, and does what they say", async () => {
    await using folder = await folderWith({ "uses.test.ts": USES });
    await folder.run(["plugin", "init", "mine"]);
    const types = Bun.spawn([process.execPath, "check", "--no-script", "--no-pretty"], {
      cwd: folder.path,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = (await types.stdout.text()) + (await types.stderr.text());
    expect({ exitCode: await types.exited, output }).toEqual({
      exitCode: 0,
      output: expect.stringContaining("No type errors in 3 files"),
    });
    const { exitCode, stderr } = await folder.run(["plugin", "test", "uses.test.ts"]);
    expect(exitCode, stderr).toBe(0);

    const declared = await Bun.file(join(folder.path, ".leastwise/test-runner.d.ts")).text();
    const prototype: unknown = Object.getPrototypeOf(expect(1));
    const known = Object.getOwnPropertyNames(prototype).filter((name) => !NO_MATCHERS.has(name));
    expect(known.filter((name) => !declared.includes(` ${name}(`))).toEqual([]);
    expect(known.length).toBeGreaterThan(80);
  });

  test("and a matcher that there is not is an error", async () => {
    await using folder = await folderWith({
      "uses.test.ts": 'import { expect } from "bun:test";\nexpect(1).toBeHappy();\n',
    });
    await folder.run(["plugin", "init", "mine"]);
    const types = Bun.spawn([process.execPath, "check", "--no-script", "--no-pretty"], {
      cwd: folder.path,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = (await types.stdout.text()) + (await types.stderr.text());
    expect(output).toContain("uses.test.ts(2,11): error TS");
    expect(await types.exited).toBe(1);
  });

  test("types complete: a slip in the new file is an error", async () => {
    await using folder = await folderWith({});
    await folder.run(["plugin", "init", "mine"]);
    const file = Bun.file(join(folder.path, "mine.ts"));
    await Bun.write(file, (await file.text()).replace("backend.inFlight", "backend.inflight"));
    const { exitCode, report } = await check(folder, "mine.ts");
    expect(exitCode).toBe(1);
    expect(report.rules[0]).toMatchObject({ rule: "has no type errors", ok: false });
    expect(report.rules[0]?.explanation).toContain("Did you mean 'inFlight'?");
  });

  test("overwrites nothing, and then writes nothing", async () => {
    await using folder = await folderWith({ "mine.test.ts": "// mine" });
    const { exitCode, stderr } = await folder.run(["plugin", "init", "mine"]);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 2,
      stderr:
        "leastwise: 1 problem\n  mine.test.ts: is there already, and nothing is overwritten\n",
    });
    expect(await readdir(folder.path)).toEqual(["mine.test.ts"]);
  });

  test("nor where a link to nothing is", async () => {
    await using folder = await folderWith({});
    await symlink("nowhere", join(folder.path, "mine.test.ts"));
    const { exitCode, stderr } = await folder.run(["plugin", "init", "mine"]);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 2,
      stderr:
        "leastwise: 1 problem\n  mine.test.ts: is there already, and nothing is overwritten\n",
    });
    expect(await readdir(folder.path)).toEqual(["mine.test.ts"]);
  });

  const ALLOWED = "allowed a folder of leastwise's own, in which files are written anew";

  test.each([
    ["a link to a folder", (path: string) => symlink("elsewhere", path), `is a link, ${ALLOWED}`],
    ["a link to nothing", (path: string) => symlink("nowhere", path), `is a link, ${ALLOWED}`],
    ["a file", (path: string) => Bun.write(path, ""), `is no folder, ${ALLOWED}`],
  ])("a .leastwise that is %s is refused", async (_what, make, message) => {
    await using folder = await folderWith({ "elsewhere/index.js": "// mine" });
    await make(join(folder.path, ".leastwise"));
    const { exitCode, stderr } = await folder.run(["plugin", "init", "mine"]);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 2,
      stderr: `leastwise: 1 problem\n  .leastwise: ${message}\n`,
    });
    expect((await readdir(folder.path)).toSorted()).toEqual([".leastwise", "elsewhere"]);
    expect(await readdir(join(folder.path, "elsewhere"))).toEqual(["index.js"]);
    expect(await Bun.file(join(folder.path, "elsewhere/index.js")).text()).toBe("// mine");
  });

  test("nor is anything written through what lies in it", async () => {
    await using folder = await folderWith({ "precious.js": "// mine" });
    await mkdir(join(folder.path, ".leastwise/testing.js"), { recursive: true });
    await symlink("../precious.js", join(folder.path, ".leastwise/index.js"));
    const { exitCode, stderr } = await folder.run(["plugin", "init", "mine"]);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 2,
      stderr:
        "leastwise: 2 problems\n" +
        "  .leastwise/index.js: is a link, allowed a file, which is written anew\n" +
        "  .leastwise/testing.js: is no file, allowed a file, which is written anew\n",
    });
    expect((await readdir(folder.path)).toSorted()).toEqual([".leastwise", "precious.js"]);
    expect(await Bun.file(join(folder.path, "precious.js")).text()).toBe("// mine");
  });

  test("a second strategy shares the first one's settings", async () => {
    await using folder = await folderWith({});
    await folder.run(["plugin", "init", "one"]);
    const { exitCode, stdout } = await folder.run(["plugin", "init", "two"]);
    expect(exitCode).toBe(0);
    expect(stdout).toStartWith("wrote two.ts\nwrote two.test.ts\nwrote .leastwise/\nnext:");
  });

  test("somebody else's tsconfig.json stays, and is told what it needs", async () => {
    await using folder = await folderWith({ "tsconfig.json": "{}" });
    const { exitCode, stdout } = await folder.run(["plugin", "init", "mine"]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('add to its compilerOptions "paths": {"leastwise":');
    expect(await Bun.file(join(folder.path, "tsconfig.json")).text()).toBe("{}");
    // The tests need no settings.
    expect((await folder.run(["plugin", "test"])).exitCode).toBe(0);
  });

  test.each([
    ["a folder", (path: string) => mkdir(path)],
    ["a link to nothing", (path: string) => symlink("nowhere", path)],
  ])("so does a tsconfig.json that is %s", async (_what, make) => {
    await using folder = await folderWith({});
    await make(join(folder.path, "tsconfig.json"));
    const { exitCode, stdout, stderr } = await folder.run(["plugin", "init", "mine"]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toContain('add to its compilerOptions "paths": {"leastwise":');
  });

  test.each([
    [["../foo.ts"], 'NAME: found "../foo.ts", allowed letters, digits and -; did you mean "foo"?'],
    [["a b"], 'NAME: found "a b", allowed letters, digits and -; did you mean "a-b"?'],
    [[], "NAME: is missing, such as in: leastwise plugin init my-strategy"],
    [["a", "b"], "b: unexpected argument"],
  ])("%j is refused", async (args, message) => {
    await using folder = await folderWith({});
    const { exitCode, stderr } = await folder.run(["plugin", "init", ...args]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(message);
    expect(await readdir(folder.path)).toEqual([]);
  });
});

describe("plugin check", () => {
  test("explains a broken rule with a test, which fails, and passes when the strategy is mended", async () => {
    await using folder = await folderWith({ "mine.ts": CHANCE });
    const { exitCode, report } = await check(folder, "mine.ts");
    const broken = report.rules.filter(({ ok }) => !ok);
    expect({ exitCode, ok: report.ok, broken: broken.map(({ rule }) => rule) }).toEqual({
      exitCode: 1,
      ok: false,
      broken: ["answers the same when clock and randomness are the same"],
    });
    expect(broken[0]?.explanation).toContain("env.random()");

    await Bun.write(join(folder.path, "mine.test.ts"), broken[0]?.test ?? "");
    const failing = await folder.run(["plugin", "test", "mine.test.ts"]);
    expect(failing.exitCode).toBe(1);
    expect(failing.stderr).toContain("env.random()");
    await Bun.write(join(folder.path, "mine.ts"), CHANCE.replace("Math.random", "env.random"));
    expect((await folder.run(["plugin", "test", "mine.test.ts"])).exitCode).toBe(0);
  });

  // Such functions were out of reach by the time that the rule put its own in their place.
  test.each([
    ["clock", "const { now } = Date;", "now() / 1000"],
    ["date", "const Clock = Date;", "new Clock().getTime() / 1000"],
    ["clock of Bun's", 'import { nanoseconds } from "bun";', "nanoseconds() / 1e9"],
    ["chance", "const { random } = Math;", "random() * 9"],
  ])("finds the %s that a file takes at its top, as does the test", async (_what, top, look) => {
    const text = strategy(`{ pick: (list) => list[Math.floor(${look}) % list.length] ?? null }`);
    await using folder = await folderWith({ "mine.ts": `${top}\n${text}` });
    const { exitCode, report } = await check(folder, "mine.ts");
    const broken = report.rules.filter(({ ok }) => !ok);
    expect({ exitCode, broken: broken.map(({ rule }) => rule) }).toEqual({
      exitCode: 1,
      broken: ["answers the same when clock and randomness are the same"],
    });
    await Bun.write(join(folder.path, "mine.test.ts"), broken[0]?.test ?? "");
    const failing = await folder.run(["plugin", "test", "mine.test.ts"]);
    expect(failing.exitCode).toBe(1);
    expect(failing.stderr).toContain("env.now()");
  });

  test("for people: a line for each rule, and a mistake that breaks many is told once", async () => {
    await using folder = await folderWith({
      "mine.ts": strategy("{ score: (backend) => backend.inFlight / 0 - 1 / 0 }"),
    });
    const { exitCode, stdout } = await folder.run(["plugin", "check", "mine.ts"]);
    expect(exitCode).toBe(1);
    expect(stdout).toStartWith(`${join(folder.path, "mine.ts")}: tried, version `);
    expect(stdout).toContain("  ok    has no type errors\n");
    expect(stdout.match(/this test shows it/g)).toHaveLength(1);
    expect(stdout).toContain("        for the same reason\n");
    expect(stdout).toMatch(/\n\d+ of \d+ rules broken\n$/);
  });

  test("a plain object without any import is a strategy", async () => {
    await using folder = await folderWith({
      "mine.ts":
        'export default { name: "mine", apiVersion: 1, create: () => ({ score: (b) => b.inFlight }) };',
    });
    expect(await check(folder, "mine.ts")).toMatchObject({ exitCode: 0, report: { ok: true } });
  });

  test("node's modules and globals are let through where no types are installed", async () => {
    await using folder = await folderWith({
      "mine.ts": `import { createHash } from "node:crypto";\nimport { weigh } from "./weigh.ts";
console.log(process.pid, Buffer.from("a"), new URL("http://a"), createHash("sha1").digest("hex"));
${GOOD.replace("backend.inFlight", "weigh(backend.inFlight)")}`,
      "weigh.ts": "export const weigh = (load: number): number => load;",
    });
    const { exitCode, report } = await check(folder, "mine.ts");
    expect({ exitCode, broken: report.rules.filter(({ ok }) => !ok) }).toEqual({
      exitCode: 0,
      broken: [],
    });
  });

  test("where types are installed, node's modules are checked", async () => {
    await using folder = await folderWith({
      "mine.ts": `import { createHash } from "node:crypto";
const hash: number = createHash("sha1");
${GOOD.replace("backend.inFlight", "hash")}`,
    });
    await symlink(
      join(import.meta.dir, "../../../node_modules"),
      join(folder.path, "node_modules"),
    );
    const { report } = await check(folder, "mine.ts");
    expect(report.rules[0]?.explanation).toContain(
      "mine.ts:2:7: Type 'Hash' is not assignable to type 'number'",
    );
  });

  test("an async pick and one that may return undefined do not compile", async () => {
    await using folder = await folderWith({
      "later.ts": strategy("{ pick: async (list) => list[0] }"),
      "nobody.ts": strategy("{ pick: (list) => list.find((one) => one.inFlight < 9) }"),
    });
    for (const file of ["later.ts", "nobody.ts"]) {
      const { exitCode, report } = await check(folder, file);
      expect({ exitCode, ok: report.rules[0]?.ok }).toEqual({ exitCode: 1, ok: false });
      expect(report.rules[0]?.explanation).toContain(`${file}:2:`);
      // Types are not all: the suite says it, too.
      expect(report.rules.some(({ ok, test }) => !ok && test !== null)).toBe(true);
    }
  });

  test("options are given as JSON, and asked for when they lack", async () => {
    await using folder = await folderWith({
      "mine.ts": `export default {
  name: "zoned",
  apiVersion: 1,
  parseOptions(raw) {
    if (!raw?.zone) throw new Error("zone must be a name");
    return raw;
  },
  create: ({ options }) => ({ score: (b) => (b.labels.zone === options.zone ? 0 : 1) }),
};`,
    });
    const without = await check(folder, "mine.ts");
    expect(without.exitCode).toBe(1);
    expect(without.report.rules.at(-1)?.explanation).toContain(
      "zoned rejects its options: zone must be a name; give it some with --options JSON",
    );
    expect((await check(folder, "mine.ts", "--options", '{"zone":"a"}')).exitCode).toBe(0);
    const wrong = await folder.run(["plugin", "check", "mine.ts", "--options", "{zone:1}"]);
    expect(wrong.exitCode).toBe(2);
    expect(wrong.stderr).toContain(
      `--options: found "{zone:1}", allowed JSON such as '{"zone":"a"}'`,
    );
  });

  test("a file that ends its process is named with the rule at which it did", async () => {
    await using folder = await folderWith({
      "mine.ts": strategy("{ score: () => (env.previous === 0 ? process.exit(3) : 1) }"),
    });
    const { exitCode, report } = await check(folder, "mine.ts");
    expect(exitCode).toBe(1);
    expect(report.rules.at(-1)).toEqual({
      rule: "starts from nothing, whatever an older version of it left",
      ok: false,
      explanation: "ended its process with exit code 3 while it was tried",
      test: null,
    });
  });

  test("a file that answers in our name breaks a rule, and nothing of ours", async () => {
    const forging = `process.send({ kind: "step", step: undefined });\n${GOOD}`;
    await using folder = await folderWith({ "mine.ts": `declare const process: any;\n${forging}` });
    const { exitCode, stdout, stderr } = await folder.run(["plugin", "check", "mine.ts"]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: "" });
    expect(stdout).toContain(
      "\n  FAIL  loads and takes its options\n" +
        `        ${join(folder.path, "mine.ts")}: what its process answers is not from leastwise: does it use process.send?\n` +
        "1 of 2 rules broken, the others were not tried\n",
    );
  });

  test("what an async hook throws is found, too", async () => {
    await using folder = await folderWith({
      "mine.ts": strategy('{ score: () => 1, async onEnd() { throw new Error("late"); } }'),
    });
    const { exitCode, report } = await check(folder, "mine.ts");
    const broken = report.rules.filter(({ ok }) => !ok);
    expect({ exitCode, broken: broken.map(({ rule }) => rule) }).toEqual({
      exitCode: 1,
      broken: ["is accepted by leastwise serve"],
    });
    expect(broken[0]?.explanation).toContain("onEnd threw: late");
  });

  test.each([
    ["replaces what the program needs itself", "globalThis.setTimeout = () => 0;", "readonly"],
    [
      "computes for longer at its top level than the watchdog allows",
      `const spent = () => { const { user, system } = process.cpuUsage(); return user + system; };
       const from = spent(); while (spent() - from < 1.3e6);`,
      "watchdog allows 1000 ms",
    ],
  ])("one that %s is not accepted, as by serve", async (_situation, source, because) => {
    await using folder = await folderWith({
      "mine.ts": `${source}\n${strategy("{ score: () => 1 }")}`,
    });
    const { exitCode, report } = await check(folder, "mine.ts");
    const broken = report.rules.filter(({ ok }) => !ok);
    expect({ exitCode, broken: broken.map(({ rule }) => rule) }).toEqual({
      exitCode: 1,
      broken: ["is accepted by leastwise serve"],
    });
    expect(broken[0]?.explanation).toContain(because);
  });

  test("a built-in is checked like a file", async () => {
    await using folder = await folderWith({});
    expect(await check(folder, "round-robin")).toMatchObject({
      exitCode: 0,
      report: { ok: true, name: "round-robin" },
    });
  });

  test.each([
    [["nope.ts"], 'FILE: found "nope.ts", but there is no such file in '],
    [["least-conections"], 'did you mean "least-connections"?'],
    [[], "FILE: is missing, such as in: leastwise plugin check ./mine.ts"],
  ])("%j is a mistake in usage", async (args, message) => {
    await using folder = await folderWith({});
    const { exitCode, stdout, stderr } = await folder.run(["plugin", "check", ...args]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
    expect(stderr).toContain(message);
  });
});

describe("plugin test", () => {
  const passing = `import { expect, test } from "bun:test";
import { rehearse } from "leastwise/testing";
import { defineStrategy } from "leastwise";
test("one", () => expect(rehearse(defineStrategy({ name: "a", apiVersion: 1, create: () => ({ score: () => 1 }) })).pick()?.id).toBeString());
test("two", () => expect(process.env.BUN_BE_BUN).toBeUndefined());
`;

  test("finds leastwise and leastwise/testing in a folder without any settings", async () => {
    await using folder = await folderWith({ "a.test.ts": passing, "deep/b.test.ts": passing });
    const { exitCode, stderr } = await folder.run(["plugin", "test"]);
    expect(exitCode, stderr).toBe(0);
    expect(stderr).toContain(" 4 pass\n");
  });

  test("runs the named files only, and of them the tests that match", async () => {
    await using folder = await folderWith({ "a.test.ts": passing, "aa.test.ts": passing });
    const { exitCode, stderr } = await folder.run(["plugin", "test", "a.test.ts", "-t", "one"]);
    expect(exitCode, stderr).toBe(0);
    expect(stderr).toContain(" 1 pass\n");
    const both = await folder.run(["plugin", "test", "a.test.ts", "aa.test.ts"]);
    expect(both.stderr).toContain(" 4 pass\n");
  });

  test("a file that is not there is a mistake in usage", async () => {
    await using folder = await folderWith({});
    const { exitCode, stderr } = await folder.run(["plugin", "test", "nope.test.ts"]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('FILES: found "nope.test.ts", but there is no such file');
  });
});

describe("plugin bench", () => {
  test("tells nanoseconds per pick at four sizes, beside every built-in", async () => {
    await using folder = await folderWith({ "mine.ts": GOOD });
    const { exitCode, stdout, stderr } = await folder.run(["plugin", "bench", "mine.ts", "--json"]);
    expect(exitCode, stderr).toBe(0);
    const rows = JSON.parse(stdout) as { strategy: string; nsPerPick: Record<string, number> }[];
    expect(rows[0]?.strategy).toBe("tried");
    expect(rows.map(({ strategy }) => strategy)).toContain("least-connections");
    for (const { nsPerPick } of rows) {
      expect(Object.keys(nsPerPick)).toEqual(["3", "100", "1000", "10000"]);
      expect(Object.values(nsPerPick).every((ns) => ns > 0)).toBe(true);
    }
  });

  // It was measured as if it were fast: least connections had answered in its place.
  test("a strategy that faults has no numbers: it is told where, and at how many candidates", async () => {
    const source = strategy(`{ pick(list) {
  if (list.length > 50) throw new Error("too many");
  return list[0];
} }`);
    await using folder = await folderWith({ "mine.ts": source });
    for (const flags of [[], ["--json"]]) {
      const bench = await folder.run(["plugin", "bench", "mine.ts", ...flags]);
      expect({ exitCode: bench.exitCode, stdout: bench.stdout }).toEqual({
        exitCode: 1,
        stdout: "",
      });
      expect(bench.stderr).toEndWith(
        `${join(folder.path, "mine.ts")}:3:35: with 100 candidates, pick threw: too many\n`,
      );
    }
    const { exitCode, report } = await check(folder, "mine.ts");
    const time = report.rules.filter(({ rule }) => rule.startsWith("picks within "));
    expect({ exitCode, ok: time.map(({ ok }) => ok) }).toEqual({ exitCode: 1, ok: [true, false] });
    expect(time[1]?.explanation).toContain("mine.ts:3:35: pick threw: too many");
  });

  test("what cannot be loaded is told as ever", async () => {
    await using folder = await folderWith({ "mine.ts": "export default 7;" });
    const { exitCode, stderr } = await folder.run(["plugin", "bench", "mine.ts"]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain("the default export is 7");
  });
});

describe("plugin list", () => {
  const config = JSON.stringify({
    pools: {
      web: { backends: ["http://127.0.0.1:1"], strategy: "./mine.ts" },
      api: { backends: ["http://127.0.0.1:1"], strategy: "round-robin" },
      old: { backends: ["http://127.0.0.1:1"], strategy: "./broken.ts" },
    },
    routes: [{ path: "/api/*", pool: "api" }, { path: "/old/*", pool: "old" }, { pool: "web" }],
    admin: { address: "127.0.0.1:1" },
  });
  const files = {
    "leastwise.config.json": config,
    "mine.ts": GOOD,
    "broken.ts": "export default 7;",
  };

  test("without a config there are the built-in ones", async () => {
    await using folder = await folderWith({});
    const args = ["plugin", "list", "--json"];
    const { exitCode, stdout, stderr } = await folder.run(args, { LEASTWISE_ADMIN: "" });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    const { builtIn } = JSON.parse(stdout) as { builtIn: { name: string; version: string }[] };
    expect(builtIn[0]).toMatchObject({ name: "least-connections", version: about.version });
  });

  test("the configured ones with version and source, and what is wrong with one", async () => {
    await using folder = await folderWith(files);
    const { exitCode, stdout, stderr } = await folder.run(["plugin", "list"]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toMatch(/^web +tried +[0-9a-f]{12} +configured +\S+mine\.ts$/m);
    expect(stdout).toMatch(/^api +round-robin +\S+ +configured +built-in$/m);
    expect(stdout).toMatch(/^old +\? +\? +broken +\S+broken\.ts$/m);
    expect(stdout).toContain("the default export is 7");
    expect(stdout).toContain("no leastwise answers");
  });

  test("state and faults are those of the running one", async () => {
    await using folder = await folderWith(files);
    const running = (name: string, strategy: object) => ({ name, strategy, backends: [] });
    using server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () =>
        Response.json([
          running("web", {
            name: "tried",
            source: "/elsewhere/mine.ts",
            version: "0123456789ab",
            quarantined: false,
            faults: 3,
          }),
          running("gone", {
            name: "random",
            source: "built-in",
            version: "0.1.0",
            quarantined: true,
            faults: 10,
          }),
        ]),
    });
    const admin = `127.0.0.1:${server.port}`;
    const { exitCode, stdout, stderr } = await folder.run(["plugin", "list", "--admin", admin]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toMatch(/^web +tried +0123456789ab +changed +3 +\/elsewhere\/mine\.ts$/m);
    expect(stdout).toMatch(/^gone +random +0\.1\.0 +quarantined +10 +built-in$/m);
    expect(stdout).toMatch(/^api +round-robin +\S+ +configured +built-in$/m);
    expect(stdout).toContain(`state and faults are told by the leastwise at ${admin}`);
  });

  test("an address that is named and does not answer is a failure", async () => {
    await using folder = await folderWith({});
    const { exitCode, stderr } = await folder.run(["plugin", "list", "--admin", "127.0.0.1:1"]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("nobody answers at 127.0.0.1:1");
  });
});

describe("plugin alone", () => {
  test("--help shows its commands and no others", async () => {
    await using folder = await folderWith({});
    const [flag, word] = await Promise.all([
      folder.run(["plugin", "--help"]),
      folder.run(["help", "plugin"]),
    ]);
    expect(flag).toEqual(word);
    expect(flag.stdout).toMatch(/^ +plugin check /m);
    expect(flag.stdout).not.toMatch(/^ +serve /m);
  });

  test.each([
    [
      ["plugin"],
      "plugin: is one of plugin init, plugin check, plugin test, plugin bench, plugin list, plugin rollback\n",
    ],
    [["plugin", "chek"], "plugin chek: unknown command, allowed plugin init, "],
    [["plugin", "chek"], 'did you mean "plugin check"?'],
    [["plugn", "check"], 'did you mean "plugin"?'],
    [["plugin", "check", "--jsn"], "--jsn: unknown flag, allowed --options, --json, --help; did"],
  ])("%j is a mistake in usage", async (args, message) => {
    await using folder = await folderWith({});
    const { exitCode, stderr } = await folder.run(args);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(message);
  });
});
