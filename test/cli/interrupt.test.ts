/** A signal while the user's files are being tried out. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { folderWith, leastwiseCommand } from "../_support/leastwise.ts";

setDefaultTimeout(30_000);

const endless = `import { writeFileSync } from "node:fs";
writeFileSync("evaluating", String(process.pid));
for (;;) {}`;

test.each([
  ["serve", "SIGTERM", 143],
  ["serve", "SIGINT", 130],
  ["check", "SIGTERM", 143],
  ["check", "SIGHUP", 129],
] as const)(
  "%s that gets %s leaves neither files nor processes behind",
  async (command, signal, code) => {
    await using folder = await folderWith({ "leastwise.config.ts": endless });
    const temp = join(folder.path, "tmp");
    await mkdir(temp);
    const child = Bun.spawn([...leastwiseCommand(), command], {
      cwd: folder.path,
      env: { HOME: folder.path, TMPDIR: temp },
      stdio: ["ignore", "ignore", "ignore"],
    });
    const evaluating = await numberIn(join(folder.path, "evaluating"));
    try {
      expect(await readdir(temp)).not.toEqual([]);
      child.kill(signal);
      expect(await child.exited).toBe(code);
      expect(await readdir(temp)).toEqual([]);
      await gone(evaluating);
    } finally {
      if (isAlive(evaluating)) process.kill(evaluating, "SIGKILL");
    }
  },
);

async function numberIn(file: string): Promise<number> {
  for (;;) {
    const text = await Bun.file(file)
      .text()
      .catch(() => "");
    if (text !== "") return Number(text);
    await Bun.sleep(10);
  }
}

async function gone(pid: number): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    if (!isAlive(pid)) return;
    await Bun.sleep(5);
  }
  throw new Error(`process ${pid} lives on`);
}

/** A process that ended and that nobody has waited for yet is gone, too. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
