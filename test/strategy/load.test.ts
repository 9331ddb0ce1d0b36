import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { bundleModule } from "../../src/config/bundle.ts";
import { ConfigError } from "../../src/errors.ts";
import { builtInNames } from "../../src/strategy/built-in.ts";
import { evaluateStrategy } from "../../src/strategy/evaluate.ts";
import { loadPlugin, versionOf } from "../../src/strategy/load.ts";
import type { StrategyModule } from "../../src/strategy/module.ts";

let folder: string;
let files = 0;

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "leastwise-load-")));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** A strategy file, and others beside it, as the master hands it to a worker. */
async function write(
  text: string,
  others: Readonly<Record<string, string>> = {},
): Promise<StrategyModule> {
  const source = join(folder, `${++files}`, "mine.ts");
  await mkdir(dirname(source), { recursive: true });
  await Bun.write(source, text);
  for (const [name, other] of Object.entries(others)) {
    await Bun.write(join(dirname(source), name), other);
  }
  return { kind: "file", source, ...(await bundleModule(source, join(folder, "bundles"))) };
}

/** Path (within the file's folder) and message of every problem. */
async function problemsOf(run: Promise<unknown>): Promise<string[]> {
  const thrown = await run.then(
    () => null,
    (error: unknown) => error,
  );
  if (!(thrown instanceof ConfigError))
    throw new Error("expected a ConfigError", { cause: thrown });
  return thrown.problems.map(({ path, message }) => {
    return `${path.replace(`${join(folder, `${files}`)}/`, "")}: ${message}`;
  });
}

const GOOD = `name: "mine", apiVersion: 1, create: () => ({ score: (b) => b.inFlight })`;

describe("a built-in strategy", () => {
  test("is found by its name, with the program's version", async () => {
    expect(builtInNames).toEqual([
      "least-connections",
      "round-robin",
      "random",
      "p2c",
      "peak-ewma",
      "least-time",
      "consistent-hash",
    ]);
    for (const name of builtInNames) {
      const module = { kind: "built-in", name } as const;
      expect((await loadPlugin(module)).name).toBe(name);
      expect(await evaluateStrategy(module, undefined)).toEqual({
        name,
        version: packageJson.version,
        source: "built-in",
      });
    }
  });

  test("is refused when there is none of that name, with those that there are", async () => {
    expect(await problemsOf(loadPlugin({ kind: "built-in", name: "constructor" }))).toEqual([
      "constructor: no such strategy, the built-in ones are least-connections, round-robin, random, p2c, peak-ewma, least-time, consistent-hash",
    ]);
  });

  test("takes no options", async () => {
    const module = { kind: "built-in", name: "random" } as const;
    expect(await problemsOf(evaluateStrategy(module, { seed: 1 }))).toEqual([
      'random.options: random takes no options, found {"seed":1}',
    ]);
  });
});

describe("a strategy file", () => {
  test("is loaded with its own imports and `leastwise`, with the hash as its version", async () => {
    const module = await write(
      `import { defineStrategy } from "leastwise";
       import { weigh } from "./weigh.ts";
       export default defineStrategy({
         name: "mine", apiVersion: 1,
         create: () => ({ score: (b) => weigh(b.inFlight) }),
       });`,
      { "weigh.ts": "export const weigh = (n: number): number => n * 2;" },
    );
    expect(await evaluateStrategy(module, undefined)).toEqual({
      name: "mine",
      version: versionOf(module),
      source: module.kind === "file" ? module.source : "",
    });
    expect(versionOf(module)).toMatch(/^[0-9a-f]{12}$/);
  });

  const shapes: readonly (readonly [
    situation: string,
    text: string,
    problems: readonly string[],
  ])[] = [
    [
      "has no default export",
      `export const plugin = { ${GOOD} };`,
      ["has no default export, but a strategy file exports its plugin as default"],
    ],
    [
      "exports a function",
      "export default () => ({ score: () => 1 });",
      [
        "the default export is a function, but it must be an object with name, apiVersion and create",
      ],
    ],
    [
      "exports null",
      "export default null;",
      ["the default export is null, but it must be an object with name, apiVersion and create"],
    ],
    [
      "has no name",
      `export default { ${GOOD}, name: undefined };`,
      ["name is missing, it must be letters, digits and -"],
    ],
    [
      "has a name with spaces",
      `export default { ${GOOD}, name: "my own" };`,
      ['name is "my own", but it must be letters, digits and -'],
    ],
    [
      "has another apiVersion",
      `export default { ${GOOD}, apiVersion: 2 };`,
      ["apiVersion is 2, but this version of leastwise supports only 1"],
    ],
    [
      "has the apiVersion as text",
      `export default { ${GOOD}, apiVersion: "1" };`,
      ['apiVersion is "1", but this version of leastwise supports only 1'],
    ],
    [
      "has no create",
      `export default { ${GOOD}, create: undefined };`,
      ["create is missing, but it must be a function that returns a strategy"],
    ],
    [
      "has everything wrong",
      `export default { name: 5, create: {}, parseOptions: true, description: 1 };`,
      [
        "name is 5, but it must be letters, digits and -",
        "apiVersion is missing, but this version of leastwise supports only 1",
        "create is {}, but it must be a function that returns a strategy",
        "parseOptions is true, but it must be a function",
        "description is 1, but it must be text",
      ],
    ],
  ];

  for (const [situation, text, problems] of shapes) {
    test(`is refused when it ${situation}`, async () => {
      const expected = problems.map((problem) => `mine.ts: ${problem}`);
      expect(await problemsOf(loadPlugin(await write(text)))).toEqual(expected);
    });
  }

  test("is refused with line and column when it throws at top level", async () => {
    const module = await write(
      `interface Nothing {}\n\nconst table: Nothing = {};\nthrow new Error("no " + table);`,
    );
    expect(await problemsOf(loadPlugin(module))).toEqual([
      "mine.ts:4:11: threw while it was loaded: no [object Object]",
    ]);
  });

  test("is refused with the place in the file that it imports", async () => {
    const module = await write(
      `import { score } from "./score.ts";\nexport default { name: "mine", apiVersion: 1, create: () => ({ score }) };`,
      {
        "score.ts": `// Nothing here.\n\nexport function score() {\n  throw new Error("no idea");\n}`,
      },
    );
    expect(await problemsOf(evaluateStrategy(module, undefined))).toEqual([
      "score.ts:4:13: in a trial with 1 made-up backend, score threw: no idea",
    ]);
  });

  test("is refused by name alone when what it throws has no place", async () => {
    const module = await write(`throw "no idea";`);
    expect(await problemsOf(loadPlugin(module))).toEqual([
      'mine.ts: threw while it was loaded: "no idea"',
    ]);
  });
});

describe("evaluation", () => {
  test("tells what parseOptions said, and where", async () => {
    const module = await write(
      `export default {\n  ${GOOD},\n  parseOptions(raw) {\n    throw new Error("zone must be text, found " + raw.zone);\n  } };`,
    );
    expect(await problemsOf(evaluateStrategy(module, { zone: 5 }))).toEqual([
      "mine.ts:4:15: mine rejects its options: zone must be text, found 5",
    ]);
  });

  test("refuses options for a strategy that takes none", async () => {
    const module = await write(`export default { ${GOOD} };`);
    expect(await problemsOf(evaluateStrategy(module, {}))).toEqual([
      "mine.ts: mine takes no options, found {}",
    ]);
  });

  test("refuses a strategy with neither score nor pick", async () => {
    const module = await write(`export default { ${GOOD}, create: () => ({ onEnd() {} }) };`);
    expect(await problemsOf(evaluateStrategy(module, undefined))).toEqual([
      "mine.ts: create returned a strategy with neither score nor pick, found onEnd",
    ]);
  });

  test("tells where create threw", async () => {
    const module = await write(
      `export default {\n  ${GOOD},\n  create() { throw new Error("no idea"); } };`,
    );
    expect(await problemsOf(evaluateStrategy(module, undefined))).toEqual([
      "mine.ts:3:24: create threw: no idea",
    ]);
  });

  test("finds a fault that only shows with ten backends", async () => {
    const module = await write(
      `export default { ${GOOD}, create: () => ({ pick: (list) => list.length < 10 ? list[0] : list[list.length] }) };`,
    );
    expect(await problemsOf(evaluateStrategy(module, undefined))).toEqual([
      "mine.ts: in a trial with 10 made-up backends, pick returned undefined: " +
        "it must return one of the candidates, or null to refuse the request",
    ]);
  });

  test("tells each broken method once, with its first fault", async () => {
    const module = await write(
      `let scores = 0;
       export default { ${GOOD}, create: () => ({
         score: () => (scores++ === 0 ? NaN : "later"),
         onStart() { throw new Error("no idea"); } }) };`,
    );
    expect(await problemsOf(evaluateStrategy(module, undefined))).toEqual([
      'mine.ts: in a trial with 1 made-up backend, score returned NaN for backend "backend-1": ' +
        'it must return a number (lower is better, Infinity for "not this one"; ' +
        "is a field misspelt? a backend has id, url, weight, labels, health, draining, inFlight)",
      "mine.ts:4:32: in a trial with 1 made-up backend, onStart threw: no idea",
    ]);
  });

  test("finds the fault of an asynchronous hook", async () => {
    const module = await write(
      `export default { ${GOOD}, create: () => ({\n  score: () => 1,\n  async onEnd() { throw new Error("late"); } }) };`,
    );
    expect(await problemsOf(evaluateStrategy(module, undefined))).toEqual([
      "mine.ts:3:29: in a trial with 1 made-up backend, onEnd threw: late",
    ]);
  });

  test("accepts a strategy that refuses what it does not know", async () => {
    const module = await write(`export default { ${GOOD}, create: () => ({ pick: () => null }) };`);
    expect((await evaluateStrategy(module, undefined)).name).toBe("mine");
  });
});
