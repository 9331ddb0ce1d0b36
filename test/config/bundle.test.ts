import { describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { bundleModule } from "../../src/config/bundle.ts";
import { ConfigError, type Problem } from "../../src/errors.ts";
import { folderWith } from "../_support/leastwise.ts";

async function load(path: string): Promise<unknown> {
  return ((await import(path)) as { default: unknown }).default;
}

async function problemsOf(file: string, outDir: string): Promise<readonly Problem[]> {
  try {
    await bundleModule(file, outDir);
  } catch (thrown) {
    if (thrown instanceof ConfigError) return thrown.problems;
    throw thrown;
  }
  return [];
}

test("a file's own imports, packages, types and the module leastwise come along", async () => {
  await using folder = await folderWith({
    "node_modules/forty/package.json": '{ "name": "forty", "main": "index.cjs" }',
    "node_modules/forty/index.cjs": "module.exports = 40;",
    "lib/two.ts": "export enum Two { Two = 2 }",
    "mine.ts": [
      'import type { Nothing } from "not-installed";',
      'import { defineStrategy } from "leastwise";',
      'import forty from "forty";',
      'import { Two } from "./lib/two.ts";',
      "export default defineStrategy({ sum: forty + Two.Two } satisfies { sum: number });",
    ].join("\n"),
  });
  const bundle = await bundleModule(join(folder.path, "mine.ts"), join(folder.path, "out"));
  expect(await load(bundle.path)).toEqual({ sum: 42 });
});

test("the version follows the content of the imports, and the same content has the same version anywhere", async () => {
  const files = { "mine.ts": 'export { default } from "./lib.ts";', "lib.ts": "export default 1;" };
  await using first = await folderWith(files);
  await using second = await folderWith({ ...files, "mine.ts": `${files["mine.ts"]} // a remark` });
  await using other = await folderWith({ ...files, "lib.ts": "export default 2;" });
  const bundles = await Promise.all(
    [first, second, other].map(({ path }) =>
      bundleModule(join(path, "mine.ts"), join(path, "out")),
    ),
  );
  expect(bundles[1]?.version).toBe(bundles[0]?.version ?? "");
  expect(bundles[2]?.version).not.toBe(bundles[0]?.version);
});

test("a changed file is a fresh module in the same process", async () => {
  await using folder = await folderWith({ "mine.ts": "export default 1;" });
  const file = join(folder.path, "mine.ts");
  const out = join(folder.path, "out");
  const before = await load((await bundleModule(file, out)).path);
  await Bun.write(file, "export default 2;");
  const after = await load((await bundleModule(file, out)).path);
  expect([before, after]).toEqual([1, 2]);
});

test("an error thrown in it names the user's file and line", async () => {
  await using folder = await folderWith({
    "mine.ts": 'interface Unused {\n  a: number;\n}\nimport "./lib.ts";\nexport default 1;',
    "lib.ts": "const a: number = 1;\n\nif (a) throw new Error('no');",
  });
  const { path } = await bundleModule(join(folder.path, "mine.ts"), join(folder.path, "out"));
  const thrown = await import(path).then(
    () => null,
    (error: Error) => error,
  );
  expect(thrown?.stack).toMatch(new RegExp(`[ (]${folder.path}/lib\\.ts:3:`));
});

describe("mistakes are told with file, line and column", () => {
  test.each([
    ["a syntax error", "const a = 1;\nexport default {;", 2, "Expected identifier"],
    [
      "a package that is not there",
      'import a from "not-there";\nexport default a;',
      1,
      "cannot find the package not-there; install it beside the file",
    ],
    [
      "a part of a package that is not there",
      'import a from "@not/there/at/all";\nexport default a;',
      1,
      "cannot find the package @not/there; install it beside the file",
    ],
    [
      "a file that is not there",
      'export { default } from "./gone.ts";',
      1,
      'Could not resolve: "./gone.ts"',
    ],
    [
      "a macro",
      '\nimport { a } from "./a.ts" with { type: "macro" };\nexport default a();',
      2,
      "macros are not supported",
    ],
  ])("%s", async (_situation, source, line, message) => {
    await using folder = await folderWith({ "mine.ts": source });
    const file = join(folder.path, "mine.ts");
    const [problem] = await problemsOf(file, join(folder.path, "out"));
    expect(problem?.path).toStartWith(`${file}:${line}`);
    expect(problem?.message).toContain(message);
  });

  test("all of a file at once", async () => {
    await using folder = await folderWith({ "mine.ts": 'import "./a.ts";\nimport "./b.ts";' });
    expect(await problemsOf(join(folder.path, "mine.ts"), join(folder.path, "out"))).toHaveLength(
      2,
    );
  });
});

test("nothing half-written stays in the folder", async () => {
  await using folder = await folderWith({ "mine.ts": "export default 1;" });
  const out = join(folder.path, "out");
  const bundles = await Promise.all(
    Array.from({ length: 4 }, () => bundleModule(join(folder.path, "mine.ts"), out)),
  );
  expect(new Set(bundles.map(({ path }) => path)).size).toBe(1);
  expect((await readdir(out)).toSorted()).toEqual([
    expect.stringMatching(/^mine-ts-[0-9a-f]{12}\.mjs$/),
    "tsconfig.json",
  ]);
});

test.each(['{ "compilerOptions": { "paths": { "./two.ts": ["./harm.ts"] } } }', "{ broken"])(
  "a tsconfig.json beside the file is not read: %s",
  async (tsconfig) => {
    await using folder = await folderWith({
      "tsconfig.json": tsconfig,
      "harm.ts": "export const two = 0;",
      "two.ts": "export const two = 2;",
      "mine.ts": 'import { two } from "./two.ts"; export default two;',
    });
    const { path } = await bundleModule(join(folder.path, "mine.ts"), join(folder.path, "out"));
    expect(await load(path)).toBe(2);
  },
);
