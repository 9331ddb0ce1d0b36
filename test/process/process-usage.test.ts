import { afterEach, expect, test } from "bun:test";
import { processUsages } from "../../src/process/process-usage.ts";

const running: Bun.Subprocess[] = [];

afterEach(async () => {
  for (const child of running) child.kill("SIGKILL");
  await Promise.all(running.splice(0).map(({ exited }) => exited));
});

/** A process named so that its name looks like fields of `/proc`. */
function start(script: string): number {
  const child = Bun.spawn(["bash", "-c", script], { argv0: "a) R 1 (b", stdout: "ignore" });
  running.push(child);
  return child.pid;
}

test.if(process.platform === "linux")(
  "one that computes is told from one that sleeps",
  async () => {
    const [busy, idle] = [start("while :; do :; done"), start("read -t 60 < <(sleep 60)")];
    const start0 = processUsages.cpuOf(busy) ?? 0;
    while ((processUsages.cpuOf(busy) ?? 0) - start0 < 200) await Bun.sleep(5);
    expect(processUsages.cpuOf(idle)).toBeLessThan(100);
    expect(processUsages.memoryOf(idle)?.state).toBe("S");
    process.kill(busy, "SIGSTOP");
    while (processUsages.memoryOf(busy)?.state !== "T") await Bun.sleep(5);
  },
);

test.if(process.platform === "linux")("memory is what is resident", () => {
  const before = processUsages.memoryOf(process.pid)?.bytes ?? 0;
  const held = new Uint8Array(64 * 2 ** 20).fill(1);
  const after = processUsages.memoryOf(process.pid)?.bytes ?? 0;
  expect(held[0]).toBe(1);
  expect(after - before).toBeGreaterThan(60 * 2 ** 20);
  expect(after).toBeLessThan(4 * 2 ** 30);
});

test("of a process that is gone nothing is known", async () => {
  const pid = start("exit 0");
  await Promise.all(running.map(({ exited }) => exited));
  expect(processUsages.memoryOf(pid)).toBeNull();
  expect(processUsages.cpuOf(pid)).toBeNull();
});
