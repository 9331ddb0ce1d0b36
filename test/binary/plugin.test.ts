/** The author's kit with nothing but the executable: an empty folder, and nothing on the PATH. */
import { beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  type BareFolder,
  BUILD_TIMEOUT_MS,
  createBareFolder,
  leastwiseBinary,
} from "../_support/binary.ts";
import { createHostileFolder, isHarmed } from "../_support/hostile-folder.ts";
import { startServing } from "../_support/serving.ts";

setDefaultTimeout(60_000);

beforeAll(async () => {
  await leastwiseBinary();
}, BUILD_TIMEOUT_MS);

async function succeed(folder: BareFolder, ...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await folder.run(...args);
  expect(exitCode, `${args.join(" ")}\n${stdout}${stderr}`).toBe(0);
  return stdout + stderr;
}

test("a strategy is begun, tested, checked, measured and listed", async () => {
  await using folder = await createBareFolder();
  expect(await succeed(folder, "plugin", "init", "mine")).toContain("wrote mine.test.ts");
  expect(await succeed(folder, "plugin", "test")).toContain(" 0 fail");
  expect(await succeed(folder, "plugin", "check", "mine.ts")).toMatch(/\n\d+ rules kept\n$/);
  expect(await succeed(folder, "plugin", "bench", "mine.ts")).toMatch(/^mine \(yours\) +[\d,]+ /m);
  expect(await succeed(folder, "plugin", "list")).toContain("least-connections");
});

test("the test that plugin check writes fails there, and a type error is found", async () => {
  await using folder = await createBareFolder();
  await folder.write(
    "mine.ts",
    [
      'import { defineStrategy } from "leastwise";',
      "export default defineStrategy({",
      '  name: "mine",',
      "  apiVersion: 1,",
      "  create: () => ({ pick: (list) => list.find((one) => one.inFlight < 2) }),",
      "});",
    ].join("\n"),
  );
  const { exitCode, stdout } = await folder.run("plugin", "check", "mine.ts", "--json");
  const { rules } = JSON.parse(stdout) as {
    rules: { ok: boolean; explanation: string | null; test: string | null }[];
  };
  expect(exitCode).toBe(1);
  expect(rules[0]?.explanation).toContain("mine.ts:5:20: Type");
  const written = rules.find(({ ok, test }) => !ok && test !== null)?.test ?? "";
  await folder.write("shown.test.ts", written);
  const run = await folder.run("plugin", "test", "shown.test.ts");
  expect(run.exitCode).toBe(1);
  expect(run.stderr).toContain("pick returned undefined");
});

test("a running leastwise tells plugin list the state of a strategy", async () => {
  await using folder = await createBareFolder();
  await folder.run("plugin", "init", "mine");
  await using serving = await startServing(
    folder,
    "--backend=http://127.0.0.1:9",
    "--strategy=./mine.ts",
  );
  const list = await succeed(folder, "plugin", "list", `--admin=${serving.admin}`);
  expect(list).toMatch(/^default +mine +[0-9a-f]{12} +running +0 +\S+mine\.ts$/m);
});

test("a hostile folder has no say in what is checked", async () => {
  await using folder = await createHostileFolder();
  const { exitCode, stdout, stderr } = await folder.run("plugin", "check", "mine.ts");
  expect({ exitCode, harmed: await isHarmed(folder) }, stdout + stderr).toEqual({
    exitCode: 0,
    harmed: false,
  });
});
