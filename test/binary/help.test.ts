import { beforeAll, expect, test } from "bun:test";
import { BUILD_TIMEOUT_MS, createBareFolder, leastwiseBinary } from "../_support/binary.ts";

beforeAll(async () => {
  await leastwiseBinary();
}, BUILD_TIMEOUT_MS);

const commands = ["serve", "check", "demo", "status", "plugin", "schema", "version"];

test("--help names every sub-command", async () => {
  await using folder = await createBareFolder();
  const { exitCode, stdout, stderr } = await folder.run("--help");
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  for (const command of commands) expect(stdout).toMatch(new RegExp(`^\\s*${command}\\b`, "m"));
});

test.each(commands)("%s --help tells about itself and does nothing else", async (command) => {
  await using folder = await createBareFolder();
  const { exitCode, stdout, stderr } = await folder.run(command, "--help");
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  expect(stdout).toContain(`leastwise ${command}`);
});
