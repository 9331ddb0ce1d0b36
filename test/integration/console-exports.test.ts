/** Telemetry on standard output, through the compiled binary. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { constants } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crowding } from "../_support/crowding.ts";
import { useHarness } from "../_support/harness.ts";
import type { Proxy } from "../_support/proxy.ts";

const harness = useHarness();
let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "leastwise-test-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function start(stdout: number, env: Record<string, string>): Promise<Proxy> {
  const backend = harness.backend();
  const pools = { web: { backends: [backend.url], health: false, ejection: false } } as const;
  const proxy = await harness.proxy({
    config: { workers: 2, pools, accessLog: "off" },
    env,
    stdout,
  });
  closeSync(stdout);
  return proxy;
}

/** Answers come as if nobody had stopped reading. */
async function load(proxy: Proxy, count: number, fields: Record<string, string> = {}) {
  for (let i = 0; i < count; i++) {
    const signal = AbortSignal.timeout(20_000);
    const response = await fetch(proxy.url, { headers: fields, signal });
    expect(response.status).toBe(200);
    await response.arrayBuffer();
  }
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`never saw ${what}`);
    await Bun.sleep(10);
  }
}

test("each span is shown once, whatever a client sends no control character among them", async () => {
  const file = join(folder, "out");
  const proxy = await start(openSync(file, "w"), {
    OTEL_TRACES_EXPORTER: "console",
    OTEL_BSP_SCHEDULE_DELAY: "20",
  });
  await load(proxy, 600, { "user-agent": "caf\u00e9\u009b31m" });
  expect(await proxy.stop()).toBe(0);
  const shown = readFileSync(file, "latin1");
  expect(shown.match(/^ {2}traceId: /gm)).toHaveLength(1200);
  expect(shown).toContain("caf");
  expect(shown).not.toMatch(/[^\n\x20-\x7e]/);
  expect(proxy.log()).not.toContain("cannot be exported");
}, 60_000);

describe("a pipe that nobody reads", () => {
  /** Its reading end stays open, and is never read from. */
  function stalledPipe(): { stdout: number; [Symbol.dispose](): void } {
    const path = join(folder, "pipe");
    expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    return { stdout: openSync(path, "w"), [Symbol.dispose]: () => closeSync(reader) };
  }

  test("takes no span: requests go on, the loss is told, and the stop takes its time at most", async () => {
    using pipe = stalledPipe();
    const proxy = await start(pipe.stdout, {
      OTEL_TRACES_EXPORTER: "console",
      OTEL_BSP_SCHEDULE_DELAY: "20",
    });
    const target = '"target":"the console"';
    for (let sent = 0; !proxy.log().includes(target); sent += 100) {
      if (sent > 20_000) throw new Error("nothing is lost");
      await load(proxy, 100);
    }
    const told = proxy
      .log()
      .split("\n")
      .filter((line) => line.includes(target));
    expect(JSON.parse(told[0]!)).toMatchObject({
      level: "warn",
      message: "spans cannot be exported and are dropped",
    });
    const before = performance.now();
    expect(await proxy.stop()).toBe(0);
    expect(performance.now() - before).toBeLessThan(5000 * crowding());
  }, 60_000);

  test("takes no metric: the master goes on, and the stop takes its time at most", async () => {
    using pipe = stalledPipe();
    const proxy = await start(pipe.stdout, {
      OTEL_METRICS_EXPORTER: "console",
      OTEL_METRIC_EXPORT_INTERVAL: "20",
    });
    await load(proxy, 20);
    await until("the report", () => proxy.log().includes("metrics cannot be exported"));
    expect((await fetch(`${proxy.admin}/metrics`)).status).toBe(200);
    await load(proxy, 20);
    const before = performance.now();
    expect(await proxy.stop()).toBe(0);
    expect(performance.now() - before).toBeLessThan(5000 * crowding());
  }, 60_000);
});

test("a pipe whose reader is gone keeps no request and no stop", async () => {
  const path = join(folder, "pipe");
  expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const proxy = await start(openSync(path, "w"), {
    OTEL_TRACES_EXPORTER: "console",
    OTEL_METRICS_EXPORTER: "console",
    OTEL_METRIC_EXPORT_INTERVAL: "20",
    OTEL_BSP_SCHEDULE_DELAY: "20",
  });
  closeSync(reader);
  await load(proxy, 20);
  await until("the report", () => proxy.log().includes("spans cannot be exported"));
  await load(proxy, 20);
  expect(await proxy.stop()).toBe(0);
  expect(proxy.log()).not.toContain("worker replaced");
});
