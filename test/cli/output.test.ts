/** Whoever reads what a command prints has enough of it, or cannot take it. */
import { describe, expect, test } from "bun:test";
import { tmpdir } from "node:os";
import { leastwiseCommand, type Run } from "../_support/leastwise.ts";

/** `setup`: of a shell whose descriptor 3 becomes the program's stdout, or what `redirections` say. */
async function run(args: readonly string[], setup: string, redirections: string): Promise<Run> {
  const script = `${setup}; exec "$@" ${redirections}`;
  const child = Bun.spawn(["/bin/bash", "-c", script, "bash", ...leastwiseCommand(), ...args], {
    cwd: tmpdir(),
    env: { HOME: tmpdir(), TMPDIR: tmpdir() },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { exitCode: await child.exited, stdout, stderr };
}

/** A pipe whose reader has ended. */
const GONE = "exec 3> >(exit 0); wait $!";

describe("a command whose reader is gone ends quietly, as if it had been read", () => {
  test.each([
    [["--help"]],
    [["help", "explain"]],
    [["--version"]],
    [["version"]],
    [["schema"]],
    [["plugin", "list"]],
    [["check", "--backend", "http://127.0.0.1:1"]],
  ])("%j", async (args) => {
    expect(await run(args, GONE, ">&3")).toEqual({ exitCode: 0, stdout: "", stderr: "" });
  });

  test("in the middle of what it prints, which is more than a pipe holds", async () => {
    const backends = Array.from({ length: 800 }, (_, index) => `http://127.0.0.1:${index + 1}`);
    const args = ["check", "--json", "--backend", backends.join(",")];
    const whole = await run(args, ":", "");
    expect(whole.stdout.length).toBeGreaterThan(100_000);
    const { exitCode, stdout, stderr } = await run(args, "exec 3> >(head -n 1)", ">&3");
    expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 0, stdout: "{\n", stderr: "" });
  });
});

test("what a command has found stays its exit code when nobody reads it", async () => {
  const wrong = ["check", "--backend", "ftp://a"];
  expect(await run(wrong, GONE, "2>&3")).toMatchObject({ exitCode: 2, stdout: "" });
  expect(await run([], GONE, "2>&3")).toMatchObject({ exitCode: 2, stdout: "" });
  expect(await run(["status", "--admin", "127.0.0.1:1"], GONE, ">&3 2>&3")).toMatchObject({
    exitCode: 1,
  });
});

test.each([[["schema"]], [["--version"]], [["--help"]]])(
  "%j on a full disk has failed, in one line",
  async (args) => {
    expect(await run(args, ":", ">/dev/full")).toEqual({
      exitCode: 1,
      stdout: "",
      stderr: expect.stringMatching(/^leastwise: cannot write to stdout: .*no space left.*\n$/),
    });
  },
);
