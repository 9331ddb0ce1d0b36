import { beforeAll, describe, expect, test } from "bun:test";
import about from "../../package.json" with { type: "json" };
import { BUILD_TIMEOUT_MS, leastwiseBinary } from "../_support/binary.ts";
import { createHostileFolder, isHarmed } from "../_support/hostile-folder.ts";

beforeAll(async () => {
  await leastwiseBinary();
}, BUILD_TIMEOUT_MS);

describe("in a folder with a hostile .env, bunfig.toml, package.json and tsconfig.json", () => {
  test("the version is told as ever", async () => {
    await using folder = await createHostileFolder();
    const { exitCode, stdout, stderr } = await folder.run("--version");
    expect({ exitCode, stderr, harmed: await isHarmed(folder) }).toEqual({
      exitCode: 0,
      stderr: "",
      harmed: false,
    });
    expect(stdout).toContain(about.version);
  });

  test("a config and a strategy are checked, in a process of their own, as ever", async () => {
    await using folder = await createHostileFolder();
    await folder.write(
      "leastwise.config.ts",
      [
        'import { defineConfig } from "leastwise";',
        "if (process.env.HARMED !== undefined) throw new Error(`harmed ${process.env.HARMED}`);",
        "export default defineConfig({",
        '  pools: { web: { backends: ["http://127.0.0.1:3001"], strategy: "./mine.ts" } },',
        "});",
      ].join("\n"),
    );
    const { exitCode, stderr } = await folder.run("check");
    expect({ exitCode, harmed: await isHarmed(folder) }, stderr).toEqual({
      exitCode: 0,
      harmed: false,
    });
  });
});
