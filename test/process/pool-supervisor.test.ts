import { beforeEach, describe, expect, test } from "bun:test";
import type { PoolConfig } from "../../src/config/config.ts";
import { EJECTION_NONE, EJECTION_ON, EJECTION_TRIAL_OPEN } from "../../src/pool/counters.ts";
import type { ToWorker } from "../../src/process/messages.ts";
import { PoolSupervisor } from "../../src/process/pool-supervisor.ts";
import { backendConfig, newCounters, poolConfig } from "../_support/pools.ts";
import { RecordedLog } from "../_support/recorded-log.ts";
import { VirtualClock } from "../_support/virtual-clock.ts";

const ejection = { failures: 2, baseMs: 10_000, maxMs: 300_000, maxPercent: 50 };
const health: PoolConfig["health"] = {
  path: "/up",
  port: null,
  host: null,
  headers: {},
  method: "GET",
  intervalMs: 1000,
  timeoutMs: 500,
  rise: 2,
  fall: 2,
  jitter: 0,
  status: [[200, 299]],
  body: null,
};

let clock: VirtualClock;
let log: RecordedLog;
let told: ToWorker[];
let events: string[];
let alive: boolean;
let counters: ReturnType<typeof newCounters>;

beforeEach(() => {
  clock = new VirtualClock(1000);
  log = new RecordedLog();
  told = [];
  events = [];
  alive = true;
  counters = newCounters(8);
});

/** Backends `a` and `b` in rows 4 and 2. */
function supervisor(change: Partial<PoolConfig>): PoolSupervisor {
  return new PoolSupervisor({
    pool: poolConfig([backendConfig("a"), backendConfig("b")], change),
    rows: [4, 2],
    counters,
    tellWorkers: (message) => void told.push(message),
    now: clock.now,
    random: () => 0,
    log,
    probe: async () => ({ good: alive, reason: alive ? "status 200" : "status 500" }),
    schedule: clock.schedule,
    events: {
      ejected: (pool, { id }, reason) => void events.push(`${pool} ${id} ejected: ${reason}`),
      healthChanged: (pool, { id }, to) => void events.push(`${pool} ${id} ${to}`),
    },
  });
}

describe("a backend that fails", () => {
  test("is ejected, gets a trial at its time, and is back when that went well", async () => {
    const watching = supervisor({ ejection });
    watching.start();
    counters.addConsecutiveFailures(4, 2);
    watching.receive({ type: "failing", row: 4 });
    expect(counters.ejection(4)).toBe(EJECTION_ON);
    expect(watching.backends()[0]?.ejectedUntil).toBeString();
    await clock.pass(9999);
    expect(counters.ejection(4)).toBe(EJECTION_ON);
    await clock.pass(1);
    expect(counters.ejection(4)).toBe(EJECTION_TRIAL_OPEN);
    const trial = counters.takeTrial(4, 0) as number;
    watching.receive({ type: "trial", row: 4, trial: trial + 1, ok: true });
    expect(counters.ejection(4)).toBe(trial);
    watching.receive({ type: "trial", row: 4, trial, ok: true });
    expect(counters.ejection(4)).toBe(EJECTION_NONE);
    expect(log.messages).toEqual([
      "backend ejected",
      "backend gets a trial request",
      "backend is back after its ejection",
    ]);
    expect(events).toEqual(["web a ejected: failures"]);
  });

  test("fails its trial, which is another ejection, for another reason", async () => {
    const watching = supervisor({ ejection });
    watching.start();
    counters.addConsecutiveFailures(4, 2);
    watching.receive({ type: "failing", row: 4 });
    await clock.pass(10_000);
    const trial = counters.takeTrial(4, 0) as number;
    watching.receive({ type: "trial", row: 4, trial, ok: false });
    expect(events).toEqual(["web a ejected: failures", "web a ejected: trial"]);
    watching.stop();
  });

  test("was ejected before this supervisor took over, and still comes back", async () => {
    counters.setEjection(4, EJECTION_ON, clock.nowMs + 5000);
    supervisor({ ejection }).start();
    await clock.pass(5000);
    expect(counters.ejection(4)).toBe(EJECTION_TRIAL_OPEN);
  });

  test("of another pool, or of none, is not its business", () => {
    const watching = supervisor({ ejection });
    for (const row of [0, 7, 8, 1e9]) {
      watching.receive({ type: "failing", row });
      watching.receive({ type: "trial", row, trial: 16, ok: false });
    }
    expect(log.lines).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});

describe("probes", () => {
  test("tell the workers and the log what changes, by row", async () => {
    const watching = supervisor({ health });
    watching.start();
    await clock.pass(0);
    expect(told).toEqual([
      { type: "health", pool: "web", row: 4, from: "unknown", to: "healthy" },
      { type: "health", pool: "web", row: 2, from: "unknown", to: "healthy" },
    ]);
    expect(watching.hasBackend()).toBe(true);
    alive = false;
    await clock.pass(3000);
    expect(watching.hasBackend()).toBe(false);
    expect(log.messages).toEqual(["backend is down", "backend is down"]);
    expect(told).toHaveLength(4);
    expect(events).toEqual([
      "web a healthy",
      "web b healthy",
      "web a unhealthy",
      "web b unhealthy",
    ]);
    watching.stop();
    expect(clock.pending).toBe(0);
  });

  test("of a backend that flaps do not fill the log", async () => {
    const watching = supervisor({ health: { ...health, rise: 1, fall: 1 } });
    watching.start();
    for (let flap = 0; flap < 55; flap++) {
      alive = !alive;
      await clock.pass(1000);
    }
    watching.stop();
    expect(told.length).toBeGreaterThan(100);
    expect(log.messages).toHaveLength(12);
  });
});

test("a supervisor that stops leaves no timer", () => {
  const watching = supervisor({ ejection });
  watching.start();
  counters.addConsecutiveFailures(4, 2);
  watching.receive({ type: "failing", row: 4 });
  expect(clock.pending).toBe(1);
  watching.stop();
  expect(clock.pending).toBe(0);
});
