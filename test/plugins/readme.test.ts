import { afterAll, describe, expect, test } from "bun:test";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { builtInNames, findBuiltIn } from "../../src/strategy/built-in.ts";
import { Rehearsal } from "../../src/strategy/rehearsal.ts";
import { strategySuite } from "../../src/strategy/suite.ts";
import { folderWith } from "../_support/leastwise.ts";
import { loadStrategyFile } from "../_support/strategy-file.ts";

const root = join(import.meta.dir, "../..");
const readme = await readFile(join(root, "plugins/README.md"), "utf8");
const code = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map((found) => found[1] ?? "");
const isTest = (snippet: string): boolean => snippet.includes('from "bun:test"');
const snippets = code.filter((snippet) => !isTest(snippet));
/** What the text says of each snippet's options. */
const options: Readonly<Record<string, unknown>> = {
  "prefer-label": { label: "ssd" },
  "forgive-slowly": { forMs: 500 },
};

const folder = await mkdtemp(join(tmpdir(), "leastwise-readme-"));
afterAll(() => rm(folder, { recursive: true, force: true }));

async function load(snippet: string, index: number) {
  const file = join(folder, `snippet-${index}.ts`);
  await writeFile(file, snippet);
  const name = /name: "(.*)"/.exec(snippet)?.[1] ?? "";
  return { name, options: options[name], plugin: await loadStrategyFile(file, options[name]) };
}

describe("the snippets of plugins/README.md", () => {
  test("are five strategies", () => {
    expect(snippets.map((snippet) => /name: "(.*)"/.exec(snippet)?.[1])).toEqual([
      "mine",
      "idle-first",
      "prefer-label",
      "forgive-slowly",
      "warm-cache",
    ]);
  });

  for (const [index, snippet] of snippets.entries()) {
    test(`keep every strategy's promises: snippet ${index + 1}`, async () => {
      const { plugin, options } = await load(snippet, index);
      for (const { run } of strategySuite(plugin, options)) run();
    });
  }

  test("have no type errors", async () => {
    const files = snippets.map((_, index) => `snippet-${index}.ts`);
    await Promise.all(
      snippets.map((snippet, index) => writeFile(join(folder, files[index] ?? ""), snippet)),
    );
    const { compilerOptions } = (await Bun.file(join(root, "tsconfig.json")).json()) as {
      compilerOptions: object;
    };
    await writeFile(
      join(folder, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: {
          ...compilerOptions,
          types: [],
          paths: { leastwise: [join(root, "src/index.ts")] },
        },
        // The first is plain on purpose: without `defineStrategy` nothing tells what `backend` is.
        files: files.slice(1),
      }),
    );
    const check = Bun.spawn(
      [process.execPath, "check", "--no-script", "--cwd", folder, "-p", "."],
      {
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    const output = (await check.stdout.text()) + (await check.stderr.text());
    expect({ exitCode: await check.exited, output }).toEqual({
      exitCode: 0,
      output: expect.stringContaining("No type errors in"),
    });
  });

  test("do what the text says: options that are wrong are explained", async () => {
    const { plugin } = await load(snippets[2] ?? "", 2);
    expect(() => new Rehearsal({ plugin, options: {}, weights: [1] })).toThrow(
      "label must be text",
    );
  });

  test("do what the text says: a failure is remembered for a while", async () => {
    const { plugin, options } = await load(snippets[3] ?? "", 3);
    const rehearsal = new Rehearsal({ plugin, options, weights: [1, 1] });
    const failed = rehearsal.pick().backend;
    if (failed === null) throw new Error("expected an answer");
    rehearsal.end(rehearsal.start(failed), "reset");
    for (let index = 0; index < 10; index++) expect(rehearsal.pick().backend).not.toBe(failed);
    rehearsal.nowMs += 500;
    const later = Array.from({ length: 10 }, () => rehearsal.pick().backend);
    expect(later.filter((backend) => backend === failed).length).toBe(5);
  });
});

test("the test in plugins/README.md passes beside the strategy that it is about", async () => {
  const tests = code.filter(isTest);
  expect(tests).toHaveLength(1);
  const strategy = snippets.find((snippet) => snippet.includes('name: "forgive-slowly"')) ?? "";
  await using folder = await folderWith({
    "forgive-slowly.ts": strategy,
    "forgive-slowly.test.ts": tests[0] ?? "",
  });
  const { exitCode, stderr } = await folder.run(["plugin", "test"]);
  expect(exitCode, stderr).toBe(0);
  expect(stderr).toContain("a reset is forgiven after half a second");
});

test("plugins/README.md names every built-in strategy", () => {
  const named = [...readme.matchAll(/^\| `([a-z0-9-]+)` +\|/gm)].map((found) => found[1] ?? "");
  expect(named).toEqual([...builtInNames]);
});

describe("the defaults that plugins/README.md gives", () => {
  const [, text = ""] = /^```json5\n(.*?)^```$/ms.exec(readme) ?? [];
  const defaults = Bun.JSON5.parse(text) as Readonly<Record<string, object>>;

  test("are of every built-in strategy that takes options", () => {
    const takers = builtInNames.filter((name) => findBuiltIn(name)?.parseOptions !== undefined);
    expect(Object.keys(defaults)).toEqual(takers);
  });

  for (const [name, options] of Object.entries(defaults)) {
    test(`make no difference to ${name}`, () => {
      const plugin = findBuiltIn(name);
      // A function of one and of the other do the same, but are not the same.
      const show = (raw: unknown) => JSON.stringify(plugin?.parseOptions?.(raw));
      expect(show(options)).toBe(show(undefined));
      const picks = [options, undefined].map((options) => {
        if (plugin === undefined) throw new Error(`expected a strategy ${name}`);
        return new Rehearsal({ plugin, options, weights: [1, 1, 2, 3] }).run(300);
      });
      expect(picks[0]).toEqual(picks[1] ?? []);
    });
  }
});
