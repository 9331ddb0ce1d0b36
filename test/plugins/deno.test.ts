import { expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");

/** Tests of parts that use web standards only. Those left out load files, or take each runtime's own clocks. */
const RUNTIME_BOUND = new Set([
  "deno.test.ts",
  "readme.test.ts",
  "load.test.ts",
  "switchable-globals.test.ts",
]);

async function neutralTests(): Promise<string[]> {
  const folders = ["test/plugins", "test/strategy"];
  const files = await Promise.all(
    folders.map(async (folder) =>
      (await readdir(join(root, folder))).map((name) => `${folder}/${name}`),
    ),
  );
  return files
    .flat()
    .filter((file) => file.endsWith(".test.ts") && !RUNTIME_BOUND.has(file.split("/").at(-1) ?? ""))
    .toSorted();
}

/** Runs the tests of one runtime and gives how many passed and failed, by its own summary. */
async function run(command: readonly string[], summary: RegExp): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), "leastwise-deno-"));
  const child = Bun.spawn([...command], {
    cwd: root,
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, DENO_DIR: home, DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" },
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  const exitCode = await child.exited;
  await rm(home, { recursive: true, force: true });
  const found = summary.exec(stdout + stderr);
  if (exitCode !== 0 || found === null) {
    throw new Error(`${command.join(" ")} exited with ${exitCode}:\n${stdout}${stderr}`);
  }
  return `${found[1]} passed, ${found[2]} failed`;
}

test("plugins and strategies pass the same tests under Deno as under Bun", async () => {
  const files = await neutralTests();
  expect(files).toContain("test/plugins/strategies.test.ts");
  expect(files).toContain("test/strategy/host.test.ts");

  const deno = [
    join(root, "node_modules/.bin/deno"),
    "test",
    "--no-remote",
    "--no-lock",
    "--no-config",
  ];
  // Types are `bun check`'s business.
  deno.push("--no-check", "--import-map", "test/_support/deno-import-map.json", ...files);
  const underDeno = await run(deno, /(\d+) passed(?: \(.*\))? \| (\d+) failed/);
  // Deno gives a test all the time that it takes; Bun's own five seconds are too few on a slow machine.
  const bun = [process.execPath, "test", "--timeout", "60000", ...files];
  const underBun = await run(bun, /(\d+) pass\n\s*(\d+) fail\n/);
  expect(underDeno).toBe(underBun);
  expect(Number.parseInt(underDeno)).toBeGreaterThan(100);
}, 300_000); // Both start a runtime of their own and run everything twice.
