/** Slow starts as the master keeps them going: over probes, ejections, drains and reloads. */
import { beforeEach, describe, expect, test } from "bun:test";
import type { PoolConfig } from "../../src/config/config.ts";
import { PROBE_UNHEALTHY } from "../../src/pool/counters.ts";
import { PoolSupervisor } from "../../src/process/pool-supervisor.ts";
import { PoolSupervisors } from "../../src/process/pool-supervisors.ts";
import { backendConfig, newCounters, poolConfig } from "../_support/pools.ts";
import { RecordedLog } from "../_support/recorded-log.ts";
import { VirtualClock } from "../_support/virtual-clock.ts";

const slowStart = { windowMs: 10_000, minWeight: 0.1, aggression: 1 };
const ejection = { failures: 2, baseMs: 10_000, maxMs: 300_000, maxPercent: 50 };
const health: PoolConfig["health"] = {
  path: "/up",
  port: null,
  host: null,
  headers: {},
  method: "GET",
  intervalMs: 1000,
  timeoutMs: 500,
  rise: 1,
  fall: 1,
  jitter: 0,
  status: [[200, 299]],
  body: null,
};

let clock: VirtualClock;
let counters: ReturnType<typeof newCounters>;
/** Ids of the backends that a probe finds ill. */
let ill: Set<string>;

beforeEach(() => {
  clock = new VirtualClock(1000);
  counters = newCounters(8);
  ill = new Set();
});

const common = () => ({
  counters,
  tellWorkers: () => {},
  now: clock.now,
  random: () => 0,
  log: new RecordedLog(),
  probe: async ({ id }: { id: string }) => ({ good: !ill.has(id), reason: "" }),
  schedule: clock.schedule,
  events: { ejected: () => {}, healthChanged: () => {} },
});

function config(change: Partial<PoolConfig>, ids = ["a", "b"]): PoolConfig {
  const backends = ids.map((id) => backendConfig(id, { weight: 4 }));
  return poolConfig(backends, { slowStart, ...change });
}

/** Backends `a` and `b` in rows 4 and 2. */
function supervisor(change: Partial<PoolConfig>): PoolSupervisor {
  return new PoolSupervisor({ ...common(), pool: config(change), rows: [4, 2] });
}

const weights = (watching: PoolSupervisor): number[] =>
  watching.backends().map(({ effectiveWeight }) => effectiveWeight);

describe("the slow start of a pool", () => {
  test("does not touch those that are there at the start of the program", async () => {
    const watching = supervisor({ health });
    watching.start();
    await clock.pass(0);
    expect(watching.backends().map((each) => each.health)).toEqual(["healthy", "healthy"]);
    expect(weights(watching)).toEqual([4, 4]);
    watching.stop();
  });

  test("goes on by itself until the backend has all of its weight", async () => {
    const watching = supervisor({ health });
    watching.start();
    ill.add("a");
    await clock.pass(1000);
    expect(weights(watching)).toEqual([0.4, 4]);
    ill.delete("a");
    await clock.pass(1000);
    const upAt = clock.nowMs;
    const seen: number[] = [];
    for (let second = 1; second <= 11; second++) {
      await clock.pass(1000);
      seen.push(Math.round((weights(watching)[0] ?? 0) * 100) / 100);
    }
    expect(clock.nowMs).toBe(upAt + 11_000);
    // Up at the probe, which came some time within the second before.
    for (const [index, weight] of seen.entries()) {
      expect(weight).toBeGreaterThanOrEqual(Math.min(4, 0.4 * (index + 1)));
      expect(weight).toBeLessThanOrEqual(Math.min(4, 0.4 * (index + 2)));
    }
    expect(seen.at(-1)).toBe(4);
    expect(watching.backends()[0]).toMatchObject({ weight: 4, effectiveWeight: 4 });
    watching.stop();
    expect(clock.pending).toBe(0);
  });

  test("follows an ejection that ended by its trial", async () => {
    const watching = supervisor({ ejection });
    watching.start();
    counters.addConsecutiveFailures(4, 2);
    watching.receive({ type: "failing", row: 4 });
    expect(weights(watching)).toEqual([0.4, 4]);
    await clock.pass(10_000);
    const trial = counters.takeTrial(4, 0) as number;
    watching.receive({ type: "trial", row: 4, trial, ok: true });
    expect(weights(watching)).toEqual([0.4, 4]);
    await clock.pass(5000);
    expect(weights(watching)).toEqual([2, 4]);
    await clock.pass(5000);
    expect(weights(watching)).toEqual([4, 4]);
    watching.stop();
  });

  test("follows a drain that was taken back", async () => {
    const watching = supervisor({});
    watching.start();
    watching.setDraining("b", true);
    watching.setDraining("b", false);
    await clock.pass(3000);
    expect(weights(watching)).toEqual([4, 1.2]);
    watching.stop();
    expect(clock.pending).toBe(0);
  });
});

describe("a reload", () => {
  test("slows those that join, before any worker has them and until their window is over", async () => {
    const watching = supervisor({});
    watching.start();
    const more = config({}, ["a", "c", "b"]);
    watching.expect(more, [4, 5, 2]);
    expect(counters.weightPart(5)).toBe(0.1);
    expect(counters.weightPart(4)).toBe(1);
    await clock.pass(700);
    watching.update(more, [4, 5, 2]);
    await clock.pass(5000);
    expect(weights(watching)).toEqual([4, 2, 4]);
    watching.update(more, [4, 5, 2]);
    await clock.pass(5000);
    expect(weights(watching)).toEqual([4, 4, 4]);
    watching.stop();
  });

  test("that switches the slow start on slows nobody who is there, that switches it off ends all of them", async () => {
    const watching = supervisor({ slowStart: null });
    watching.start();
    counters.setProbe(2, PROBE_UNHEALTHY);
    watching.update(config({}), [4, 2]);
    expect(weights(watching)).toEqual([4, 0.4]);
    watching.setDraining("a", true);
    watching.setDraining("a", false);
    await clock.pass(2000);
    expect(weights(watching)).toEqual([0.8, 0.4]);
    watching.update(config({ slowStart: null }), [4, 2]);
    expect(weights(watching)).toEqual([4, 4]);
    expect([4, 2].map((row) => counters.weightPart(row))).toEqual([1, 1]);
    expect(clock.pending).toBe(0);
    watching.stop();
  });

  test("that brings a whole pool slows none of it: all of them are new", () => {
    const all = new PoolSupervisors(common());
    all.update([config({})], { web: [4, 2] });
    all.start();
    const added = { ...config({}, ["x", "y"]), name: "api" };
    const rows = { web: [4, 2], api: [5, 6] };
    all.expect([config({}), added], rows);
    all.update([config({}), added], rows);
    expect([4, 2, 5, 6].map((row) => counters.weightPart(row))).toEqual([1, 1, 1, 1]);
    all.stop();
  });
});
