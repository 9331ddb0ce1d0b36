import { beforeAll, expect, test } from "bun:test";
import about from "../../package.json" with { type: "json" };
import { BUILD_TIMEOUT_MS, createBareFolder, leastwiseBinary } from "../_support/binary.ts";

beforeAll(async () => {
  await leastwiseBinary();
}, BUILD_TIMEOUT_MS);

test.each(["--version", "version"])(
  "%s answers in an empty folder with an empty PATH",
  async (argument) => {
    await using folder = await createBareFolder();
    const { exitCode, stdout, stderr } = await folder.run(argument);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toContain(about.version);
  },
);
