import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { tmpdir } from "node:os";
import about from "../../package.json" with { type: "json" };
import { fitStream } from "../../src/cli/help.ts";
import { leastwise } from "../_support/leastwise.ts";

// Every run is one or two processes, and an endless loop is given 5 s.
setDefaultTimeout(30_000);

const commands = [
  "serve",
  "check",
  "status",
  "reload",
  "drain",
  "undrain",
  "recycle",
  "explain",
  "demo",
  "schema",
  "version",
];
const here = { cwd: tmpdir() };

test.each([[["--version"]], [["-v"]], [["version"]]])("%j prints the version", async (args) => {
  const run = await leastwise(args, here);
  expect(run).toEqual({ exitCode: 0, stdout: `leastwise ${about.version}\n`, stderr: "" });
});

test.each([[["--help"]], [["-h"]], [["help"]]])(
  "%j names every command, without colour in a pipe",
  async (args) => {
    const { exitCode, stdout, stderr } = await leastwise(args, here);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    for (const command of commands) expect(stdout).toMatch(new RegExp(`^ +${command} `, "m"));
    expect(stdout).toContain("EXAMPLES");
    expect(stdout).not.toContain("\u001B");
    expect(stdout).not.toContain("__");
  },
);

describe("the help of each command has examples", () => {
  test.each(commands)("%s", async (command) => {
    const [flag, word] = await Promise.all([
      leastwise([command, "--help"], here),
      leastwise(["help", command], here),
    ]);
    expect(flag.stderr).toBe("");
    expect(flag.stdout).toContain(`leastwise ${command}`);
    expect(flag.stdout).toMatch(new RegExp(`EXAMPLES\\n\\n  leastwise ${command}`));
    expect(word).toEqual(flag);
  });
});

test("without a command the help goes to stderr, and that is a mistake", async () => {
  const { exitCode, stdout, stderr } = await leastwise([], here);
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
  expect(stderr).toContain("USAGE");
});

test("colour is for terminals that want it", () => {
  const text = "\u001B[1mbold\u001B[22m   ";
  expect(fitStream(text, { isTTY: true }, {})).toBe("\u001B[1mbold\u001B[22m");
  expect(fitStream(text, { isTTY: true }, { NO_COLOR: "1" })).toBe("bold");
  expect(fitStream(text, {}, {})).toBe("bold");
});
