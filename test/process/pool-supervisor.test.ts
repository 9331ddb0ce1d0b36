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

describe("a reload", () => {
  const [a, b, c] = [backendConfig("a"), backendConfig("b"), backendConfig("c")];

  test("keeps probes and ejections of those that stay, and begins with those that come", async () => {
    const watching = supervisor({ health, ejection });
    watching.start();
    await clock.pass(0);
    counters.addConsecutiveFailures(4, 2);
    watching.receive({ type: "failing", row: 4 });
    told = [];
    watching.update(poolConfig([c, { ...a, weight: 3 }], { health, ejection }), [6, 4]);
    await clock.pass(0);
    expect(told).toEqual([{ type: "health", pool: "web", row: 6, from: "unknown", to: "healthy" }]);
    expect(watching.backends()).toMatchObject([
      { id: "c", ejectedUntil: null },
      { id: "a", weight: 3, ejectedUntil: expect.any(String) },
    ]);
    // Its time comes as if nothing had been, but not by the probes of `b`, which is gone.
    await clock.pass(10_000);
    expect(counters.ejection(4)).toBe(EJECTION_TRIAL_OPEN);
    watching.stop();
    expect(clock.pending).toBe(0);
  });

  test("with other probes keeps what they said, and asks anew", async () => {
    const watching = supervisor({ health });
    watching.start();
    await clock.pass(0);
    alive = false;
    const other = { ...health, path: "/other", fall: 1 } as const;
    watching.update(poolConfig([a, b], { health: other }), [4, 2]);
    expect(watching.backends().map((each) => each.health)).toEqual(["healthy", "healthy"]);
    await clock.pass(0);
    expect(watching.hasBackend()).toBe(false);
    watching.stop();
    expect(clock.pending).toBe(0);
  });

  test("without probes forgets who was down, or they would be so for ever", async () => {
    const watching = supervisor({ health });
    alive = false;
    watching.start();
    await clock.pass(0);
    expect(watching.hasBackend()).toBe(false);
    told = [];
    watching.update(poolConfig([a, b], { health: null }), [4, 2]);
    expect(watching.hasBackend()).toBe(true);
    expect(told).toMatchObject([
      { row: 4, from: "unhealthy", to: "unknown" },
      { row: 2, from: "unhealthy", to: "unknown" },
    ]);
    expect(clock.pending).toBe(0);
  });

  test("without ejection lets everybody back in", () => {
    const watching = supervisor({ ejection });
    watching.start();
    counters.addConsecutiveFailures(4, 2);
    watching.receive({ type: "failing", row: 4 });
    watching.update(poolConfig([a, b], { ejection: null }), [4, 2]);
    expect(counters.ejection(4)).toBe(EJECTION_NONE);
    expect(clock.pending).toBe(0);
  });

  test("that ends after the stop starts nothing again", async () => {
    const watching = supervisor({ health, ejection });
    watching.start();
    await clock.pass(0);
    watching.stop();
    watching.update(poolConfig([a, c], { health, ejection }), [4, 6]);
    expect(clock.pending).toBe(0);
    told = [];
    await clock.pass(5000);
    expect(told).toEqual([]);
  });

  test("before the start is what the start begins with", async () => {
    const watching = supervisor({ health });
    watching.update(poolConfig([c], { health }), [6]);
    watching.start();
    await clock.pass(0);
    expect(told).toMatchObject([{ row: 6 }]);
    watching.stop();
  });
});

test("a backend is drained and taken back, which is logged once each", () => {
  const watching = supervisor({});
  expect(watching.setDraining("nobody", true)).toBeNull();
  for (const draining of [true, true, false, false]) {
    expect(watching.setDraining("a", draining)).toMatchObject({ id: "a", draining });
    expect(counters.draining(4)).toBe(draining);
  }
  expect(counters.draining(2)).toBe(false);
  expect(log.messages).toEqual(["backend is draining", "backend is taken back"]);
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
