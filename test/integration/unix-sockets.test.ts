/** Whose unix socket it is that lies at a path. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { probeAddress } from "../../src/process/ports.ts";

let folder: string;
let unix: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "leastwise-test-"));
  unix = join(folder, "a.sock");
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Another process that listens there. */
async function listenElsewhere() {
  const code = `Bun.listen({ unix: ${JSON.stringify(unix)}, socket: { data() {} } }); console.log("on")`;
  const child = Bun.spawn([process.execPath, "-e", code], { stdin: "ignore", stdout: "pipe" });
  await child.stdout.getReader().read();
  return child;
}

describe("a unix socket that is there already", () => {
  test("is taken when its owner is too busy to accept", async () => {
    const owner = await listenElsewhere();
    const waiting: { terminate(): void }[] = [];
    try {
      owner.kill("SIGSTOP");
      let full = false;
      while (!full && waiting.length < 10_000) {
        try {
          waiting.push(await Bun.connect({ unix, socket: { data() {} } }));
        } catch {
          full = true;
        }
      }
      expect(full).toBe(true);
      await expect(probeAddress({ unix }, "--listen")).rejects.toThrow(`${unix} is taken`);
      expect(existsSync(unix)).toBe(true);
    } finally {
      for (const each of waiting) each.terminate();
      owner.kill("SIGKILL");
      await owner.exited;
    }
  });

  test("is removed when its owner was killed", async () => {
    const owner = await listenElsewhere();
    owner.kill("SIGKILL");
    await owner.exited;
    expect(existsSync(unix)).toBe(true);
    expect(await probeAddress({ unix }, "--listen")).toEqual({ unix });
    expect(existsSync(unix)).toBe(false);
  });
});
