import { afterEach, expect, test } from "bun:test";
import { processUsages } from "../../src/process/process-usage.ts";

const running: Bun.Subprocess[] = [];

afterEach(async () => {
  for (const child of running) child.kill("SIGKILL");
  await Promise.all(running.splice(0).map(({ exited }) => exited));
});

/** A process named so that its name looks like fields of `/proc`. */
function start(script: string): number {
  const child = Bun.spawn(["bash", "-c", script], {
    argv0: "a) R 1 (b",
    stdin: "pipe",
    stdout: "ignore",
  });
  running.push(child);
  return child.pid;
}

test.if(process.platform === "linux")(
  "one that computes is told from one that sleeps",
  async () => {
    const [busy, idle] = [start("while :; do :; done"), start("read")];
    const start0 = processUsages.cpuOf(busy) ?? 0;
    while ((processUsages.cpuOf(busy) ?? 0) - start0 < 200) await Bun.sleep(5);
    expect(processUsages.cpuOf(idle)).toBeLessThan(100);
    expect(processUsages.memoryOf(idle)?.state).toBe("S");
    process.kill(busy, "SIGSTOP");
    while (processUsages.memoryOf(busy)?.state !== "T") await Bun.sleep(5);
  },
);

test.if(process.platform === "linux")("memory is what is resident", async () => {
  const mebibytes = 64;
  // In a process that does nothing else: what ours has goes up and down with its collections.
  const script = `
    globalThis.held = new Uint8Array(${mebibytes} * 2 ** 20).fill(1);
    console.log("held");
    setInterval(() => {}, 60_000);`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
  running.push(child);
  await child.stdout.getReader().read();
  const { bytes = 0 } = processUsages.memoryOf(child.pid) ?? {};
  expect(bytes).toBeGreaterThan(mebibytes * 2 ** 20);
  // Of addresses Bun takes gigabytes.
  expect(bytes).toBeLessThan(2 ** 30);
});

test("of a process that is gone nothing is known", async () => {
  const pid = start("exit 0");
  await Promise.all(running.map(({ exited }) => exited));
  expect(processUsages.memoryOf(pid)).toBeNull();
  expect(processUsages.cpuOf(pid)).toBeNull();
});
