import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DemoReport, ReportRow } from "../../src/cli/demo/demo-report.ts";

const CLI = join(import.meta.dir, "../../src/cli.ts");
/** As short as the demo can be, and on a busy machine too: what is checked here is no timing. */
const SHORT = ["--warm-up", "0s", "--max-lag", "1m", "--duration", "1s"];
/** Long enough that only a signal can have ended it. */
const LONG = ["--warm-up", "0s", "--max-lag", "1m", "--duration", "5m"];
const TIMEOUT_MS = 60_000;

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "leastwise-demo-test-"));
  await Bun.write(
    join(folder, "first.ts"),
    'export default { name: "first", apiVersion: 1, create: () => ({ pick: (all) => all[0] }) };',
  );
  await Bun.write(join(folder, "broken.ts"), "export default 7;");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function spawnDemo(...args: readonly string[]) {
  return Bun.spawn([process.execPath, CLI, "demo", ...args], {
    cwd: folder,
    // A killed demo cannot remove its temporary folder; this one goes with ours.
    env: { ...process.env, TMPDIR: folder },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

async function runDemo(...args: readonly string[]) {
  const child = spawnDemo(...SHORT, ...args);
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { exitCode: await child.exited, stdout, stderr };
}

function expectCountsToAddUp({ spike }: ReportRow): void {
  expect(spike.sent).toBeGreaterThan(500);
  expect(spike.ok + spike.errors.total).toBe(spike.sent);
  const byKind = Object.values(spike.errors.byKind).reduce((sum, count) => sum + count, 0);
  expect(byKind).toBe(spike.errors.total);
  const { normal, degraded } = spike.share;
  expect(normal.answers + degraded.answers + spike.unanswered).toBe(spike.sent);
}

describe("leastwise demo", () => {
  test(
    "runs round robin, least connections and our defaults through the real proxy",
    async () => {
      const { exitCode, stdout, stderr } = await runDemo("--json", "--seed", "3");
      expect({ exitCode, stderr }).toEqual({
        exitCode: 0,
        stderr: expect.stringContaining("demo: run 3 of 3, least-connections + defaults: spike\n"),
      });
      const report = JSON.parse(stdout) as DemoReport;
      expect(report.scenario.seed).toBe(3);
      expect(report.rows.map((row) => row.label)).toEqual([
        "round-robin",
        "least-connections",
        "least-connections + defaults",
      ]);
      for (const row of report.rows) {
        expectCountsToAddUp(row);
        expect(row.spike.sent).toBe(report.rows[0]?.spike.sent ?? 0);
        expect(row.spike.ok).toBeGreaterThan(0);
        expect(row.spike.unanswered).toBe(0);
      }
      // 3 of 10 backends: what round robin does with them does not depend on how busy the machine is.
      expect(report.rows[0]?.spike.share.degraded.fraction).toBeCloseTo(0.3, 1);
      expect(report.findings).toHaveLength(4);
    },
    TIMEOUT_MS,
  );

  test(
    "shows what a strategy of one's own does, from the folder where one is",
    async () => {
      const { exitCode, stdout, stderr } = await runDemo("--strategy", "./first.ts");
      expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
      // Everything goes to one backend, which has 16 slots and 140 places, and refuses the rest.
      expect(stdout).toMatch(/^ {2}\.\/first\.ts .* normal [\d,]+, degraded 0$/m);
      expect(stdout).toMatch(/^ {2}\.\/first\.ts .* x backend 502$/m);
      expect(stdout).not.toContain("\x1b");
    },
    TIMEOUT_MS,
  );

  test("a mistake in any strategy is told before anything runs", async () => {
    const { exitCode, stdout, stderr } = await runDemo(
      "--strategy",
      "random",
      "--strategy",
      "./broken.ts",
    );
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
    expect(stderr).toContain("broken.ts");
    expect(stderr).not.toContain("demo: run");
  });

  test("a seed that is no number is a usage error", async () => {
    const { exitCode, stderr } = await runDemo("--seed", "x");
    expect(exitCode).toBe(2);
    expect(stderr).toContain('--seed: found "x"');
  });

  test("more strategies than can be compared are a usage error", async () => {
    const five = Array.from({ length: 5 }, () => "--strategy=random");
    const { exitCode, stderr } = await runDemo(...five);
    expect(exitCode).toBe(2);
    expect(stderr).toContain("--strategy: given 5 times, allowed at most 4");
  });
});

// Who started whom is read from /proc.
describe.skipIf(process.platform !== "linux")(
  "a demo that is stopped leaves no process behind",
  () => {
    for (const [signal, exitCode] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
      ["SIGKILL", 137],
    ] as const) {
      test(
        signal,
        async () => {
          const child = spawnDemo(...LONG);
          await readUntil(child.stderr, "round-robin: spike");
          const started = await descendantsOf(child.pid);
          // The backends, the proxy's master and at least one worker.
          expect(started.length).toBeGreaterThanOrEqual(3);
          child.kill(signal);
          expect(await child.exited).toBe(exitCode);
          while (started.some(isRunning)) await Bun.sleep(10);
        },
        TIMEOUT_MS,
      );
    }
  },
);

async function readUntil(stream: ReadableStream<Uint8Array>, text: string): Promise<void> {
  const decoder = new TextDecoder();
  let read = "";
  for await (const chunk of stream) {
    read += decoder.decode(chunk, { stream: true });
    if (read.includes(text)) return;
  }
  throw new Error(`the stream ended without ${JSON.stringify(text)}: ${read}`);
}

async function descendantsOf(root: number): Promise<number[]> {
  const parents = new Map<number, number>();
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = await Bun.file(`/proc/${entry}/stat`)
      .text()
      .catch(() => "");
    // The name, in parentheses, may hold anything; state and parent follow it.
    const parent = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1];
    parents.set(Number(entry), Number(parent));
  }
  const found = [root];
  for (const pid of found) {
    for (const [child, parent] of parents) if (parent === pid) found.push(child);
  }
  return found.slice(1);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
