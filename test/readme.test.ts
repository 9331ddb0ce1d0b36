import { expect, test } from "bun:test";
import { join } from "node:path";

const root = join(import.meta.dir, "..");
const readme = await Bun.file(join(root, "README.md")).text();
const continuousIntegration = await Bun.file(join(root, ".ci/run")).text();
const scripts: unknown = (await Bun.file(join(root, "package.json")).json()).scripts;

const testCommand = "npx -y bun@1.4.5 run test";
const demoCommand = "npx -y bun@1.4.5 run demo";

/** The lines of the README that somebody copies into a terminal. */
function readCommands(markdown: string): string[] {
  const blocks = markdown.matchAll(/^```(?:sh|bash|console)\n([\s\S]*?)^```/gm);
  return [...blocks].flatMap(([, block = ""]) => block.split("\n").map((line) => line.trim()));
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
