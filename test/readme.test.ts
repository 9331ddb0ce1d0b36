import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import * as z from "zod";
import { configJsonSchema } from "../src/config/json-schema.ts";
import { readConfigFile } from "../src/config/load.ts";
import { folderWith } from "./_support/leastwise.ts";

// The examples are run, each in a process or two.
setDefaultTimeout(30_000);

const root = join(import.meta.dir, "..");
const readme = await Bun.file(join(root, "README.md")).text();
const continuousIntegration = await Bun.file(join(root, ".ci/run")).text();
const scripts: unknown = (await Bun.file(join(root, "package.json")).json()).scripts;

const testCommand = "npx -y bun@1.4.5 run test";
const demoCommand = "npx -y bun@1.4.5 run demo";

/** What stands in fenced blocks whose language matches, in order. */
function readBlocks(markdown: string, language: string): string[] {
  const blocks: string[] = [];
  let open: { language: string; lines: string[] } | null = null;
  for (const line of markdown.split("\n")) {
    const fence = /^```(\w*)$/.exec(line);
    if (fence === null) open?.lines.push(line);
    else if (open === null) open = { language: fence[1] ?? "", lines: [] };
    else {
      const matches = new RegExp(`^${language}$`).test(open.language);
      if (matches) blocks.push(`${open.lines.join("\n")}\n`);
      open = null;
    }
  }
  return blocks;
}

/** The one TypeScript block that holds this text. */
function readExample(text: string): string {
  const found = readBlocks(readme, "ts").filter((block) => block.includes(text));
  if (found.length !== 1) throw new Error(`${found.length} examples with ${text}, expected one`);
  return found[0] ?? "";
}

/** The lines of the README that somebody copies into a terminal. */
function readCommands(markdown: string): string[] {
  const blocks = readBlocks(markdown, "(?:sh|bash|console)");
  return blocks.flatMap((block) => block.split("\n").map((line) => line.trim()));
}

test("the README gives the two commands as lines to copy", () => {
  const commands = readCommands(readme);
  expect(commands).toContain(demoCommand);
  expect(commands).toContain(testCommand);
});

test("continuous integration runs the tests with the README's own command", () => {
  const lines = continuousIntegration.split("\n").filter((line) => !line.trim().startsWith("#"));
  expect(lines.filter((line) => line.endsWith(` ${testCommand}`))).toHaveLength(1);
});

test("every script that the README names is in package.json", () => {
  const named = [...readme.matchAll(/\bbun(?:@[\d.]+)? run ([\w:-]+)/g)].map(([, name]) => name);
  expect(named).toContain("demo");
  expect(Object.keys(scripts ?? {})).toEqual(expect.arrayContaining(named));
});

test("README and continuous integration use one version of Bun", () => {
  const versions = [...`${readme}${continuousIntegration}`.matchAll(/\bbun@([\w.-]+)/g)];
  expect([...new Set(versions.map(([, version]) => version))]).toEqual([Bun.version]);
});

test("the README shows a whole run of the demo", () => {
  const placeholder = readme.split("\n").findIndex((line) => line.includes("<!-- demo"));
  expect({ placeholder }).toEqual({ placeholder: -1 });
  const section = readme.slice(readme.indexOf("## Try it"), readme.indexOf("## Quick start"));
  const [run = ""] = readBlocks(section, "(?:text|console)?").filter((block) =>
    block.startsWith("Launch spike: "),
  );
  for (const part of ["p50 of good answers", "p99 of good answers", "errors", "share of the "]) {
    const [, after = ""] = run.split(new RegExp(`^${part}.*\\n`, "m"));
    const [block = ""] = after.split("\n\n");
    expect(block).toMatch(/^ +round-robin +[0-9]/m);
    expect(block).toMatch(/^ +least-connections +[0-9]/m);
  }
});

describe("the README's example of a config", () => {
  const example = readExample("defineConfig(");

  test("passes check", async () => {
    await using folder = await folderWith({ "leastwise.config.ts": example });
    const { exitCode, stderr } = await folder.run(["check"]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  });

  test("fits the schema that leastwise prints", async () => {
    await using folder = await folderWith({ "leastwise.config.ts": example });
    const loaded = await readConfigFile({ cwd: folder.path, tempDir: join(folder.path, "out") });
    const schema = z.fromJSONSchema(configJsonSchema());
    expect(schema.safeParse(loaded?.raw).error?.issues ?? []).toEqual([]);
    expect(schema.safeParse({ ...(loaded?.raw as object), lisen: [] }).success).toBe(false);
  });
});

describe("the README's example of a strategy", () => {
  const example = readExample("defineStrategy(");

  test("passes check", async () => {
    await using folder = await folderWith({ "mine.ts": example });
    const args = ["--strategy", "./mine.ts", "--backend", "http://127.0.0.1:3001"];
    const { exitCode, stdout, stderr } = await folder.run(["check", ...args]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toContain(`(${folder.path}/mine.ts)`);
  });

  test("has at most ten lines of code", () => {
    const lines = example.split("\n").map((line) => line.trim());
    // Neither empty, nor a remark, nor closing brackets alone.
    const code = lines.filter((line) => !/^(?:\/\/.*|[)\]};,]*)$/.test(line));
    expect(code.length).toBeGreaterThan(0);
    expect(code.length).toBeLessThanOrEqual(10);
  });
});
