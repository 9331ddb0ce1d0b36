import { describe, expect, test } from "bun:test";
import type { HealthConfig } from "../../src/config/config.ts";
import type { ProbeResult } from "../../src/health/probe.ts";
import { PoolProber, type ProbeReport } from "../../src/health/prober.ts";
import { PROBE_HEALTHY, PROBE_UNHEALTHY, PROBE_UNKNOWN } from "../../src/pool/counters.ts";
import { backendConfig, newCounters } from "../_support/pools.ts";
import { VirtualClock } from "../_support/virtual-clock.ts";

const CONFIG: HealthConfig = {
  path: "/health",
  port: null,
  host: null,
  headers: {},
  method: "GET",
  intervalMs: 1000,
  timeoutMs: 200,
  rise: 2,
  fall: 3,
  jitter: 0,
  status: [[200, 299]],
  body: null,
};

interface Setting {
  readonly backends?: number;
  readonly config?: Partial<HealthConfig>;
  readonly random?: () => number;
  /** How long each probe takes. */
  readonly takesMs?: number;
}

function newProber(setting: Setting = {}) {
  const clock = new VirtualClock(5000);
  const counters = newCounters(8);
  const ids = Array.from({ length: setting.backends ?? 1 }, (_, index) => `b${index}`);
  const well = { value: true };
  const started: string[] = [];
  const reports: ProbeReport[] = [];
  const underWay = new Map<string, number>();
  let most = 0;
  const create = () =>
    new PoolProber({
      config: { ...CONFIG, ...setting.config },
      backends: ids.map((id) => backendConfig(id)),
      rows: ids.map((_, index) => index + 2),
      counters,
      now: clock.now,
      random: setting.random ?? (() => 0.5),
      schedule: clock.schedule,
      onResult: (report) => reports.push(report),
      probe: ({ id }, signal) => {
        started.push(`${id}@${clock.nowMs - 5000}`);
        underWay.set(id, (underWay.get(id) ?? 0) + 1);
        most = Math.max(most, underWay.get(id) ?? 0);
        const { promise, resolve } = Promise.withResolvers<ProbeResult>();
        const cancel = clock.schedule(setting.takesMs ?? 0, () => {
          underWay.set(id, (underWay.get(id) ?? 0) - 1);
          resolve({ good: well.value, reason: well.value ? "status 200" : "status 503" });
        });
        signal.addEventListener("abort", () => {
          cancel();
          resolve({ good: false, reason: "stopped" });
        });
        return promise;
      },
    });
  const prober = create();
  return { clock, counters, well, started, reports, prober, create, mostAtOnce: () => most };
}

describe("a bad probe that ended long after its timeout, because this process stood still", () => {
  test("is made again at once and not reported", async () => {
    const { clock, started, reports, well, prober } = newProber({ takesMs: 10_000 });
    well.value = false;
    prober.start();
    await clock.pass(10_000);
    expect(started).toEqual(["b0@0", "b0@10000"]);
    expect(reports).toEqual([]);
    well.value = true;
    await clock.pass(10_000);
    expect(reports.map(({ good, startedAtMs }) => [good, startedAtMs - 5000])).toEqual([
      [true, 10_000],
    ]);
    prober.stop();
  });

  test("counts when the next one was held up, too", async () => {
    const { clock, reports, well, prober } = newProber({ takesMs: 10_000 });
    well.value = false;
    prober.start();
    await clock.pass(20_000);
    expect(reports.map(({ good }) => good)).toEqual([false]);
    prober.stop();
  });
});

describe("when probes go out", () => {
  test("the first at once for every backend, then one per interval each, spread", async () => {
    const { clock, started, prober } = newProber({ backends: 4 });
    prober.start();
    expect(started).toEqual(["b0@0", "b1@0", "b2@0", "b3@0"]);
    started.length = 0;
    await clock.pass(2000);
    expect(started).toEqual(
      ["b0@250", "b1@500", "b2@750", "b3@1000"].concat([
        "b0@1250",
        "b1@1500",
        "b2@1750",
        "b3@2000",
      ]),
    );
    prober.stop();
  });

  test("the interval is measured from start to start, not from the answer", async () => {
    const { clock, started, prober } = newProber({ takesMs: 150 });
    prober.start();
    await clock.pass(3100);
    expect(started).toEqual(["b0@0", "b0@1000", "b0@2000", "b0@3000"]);
    prober.stop();
  });

  test("a backend never has two probes at a time, however slow it is", async () => {
    const { clock, started, prober, mostAtOnce } = newProber({ takesMs: 1700 });
    prober.start();
    await clock.pass(6000);
    expect(started).toEqual(["b0@0", "b0@1700", "b0@3400", "b0@5100"]);
    expect(mostAtOnce()).toBe(1);
    prober.stop();
  });

  test("each wait is varied by the jitter, both ways", async () => {
    const randoms = [0, 0.75];
    const { clock, started, prober } = newProber({
      config: { jitter: 0.2 },
      random: () => randoms.shift() ?? 0.5,
    });
    prober.start();
    await clock.pass(2000);
    expect(started).toEqual(["b0@0", "b0@800", "b0@1900"]);
    prober.stop();
  });

  test("after stop no timer is left, and the probe under way is called off and not reported", async () => {
    const { clock, counters, prober, reports } = newProber({ backends: 3, takesMs: 100 });
    prober.start();
    await clock.pass(350);
    expect(reports.length).toBe(3);
    expect(clock.pending).toBe(3);
    prober.stop();
    expect(clock.pending).toBe(0);
    await clock.pass(5000);
    expect(clock.pending).toBe(0);
    expect(reports.length).toBe(3);
    expect(counters.probe(2)).toBe(PROBE_HEALTHY);
  });
});

describe("when the backends change", () => {
  test("who stays keeps its times, who comes is probed at once, who goes is let go", async () => {
    const { clock, started, reports, prober } = newProber({ backends: 2, takesMs: 10 });
    prober.start();
    await clock.pass(1200);
    started.length = 0;
    prober.update([backendConfig("b1"), backendConfig("new")], [3, 7]);
    expect(started).toEqual(["new@1200"]);
    // Five more reloads are no five more probes.
    for (let i = 0; i < 5; i++) prober.update([backendConfig("b1"), backendConfig("new")], [3, 7]);
    await clock.pass(2000);
    expect(started).toEqual(["new@1200", "b1@2000", "new@2200", "b1@3000", "new@3200"]);
    expect(reports.filter(({ row }) => row === 2)).toHaveLength(2);
    prober.stop();
    expect(clock.pending).toBe(0);
  });

  test("what was on its way for one that goes is not reported", async () => {
    const { clock, reports, prober } = newProber({ backends: 2, takesMs: 10 });
    prober.start();
    prober.update([backendConfig("b1")], [3]);
    await clock.pass(10);
    expect(reports.map(({ row }) => row)).toEqual([3]);
    prober.stop();
  });

  test("bad probes before and after a change add up", async () => {
    const { clock, counters, well, prober } = newProber();
    prober.start();
    await clock.pass(0);
    well.value = false;
    await clock.pass(2000);
    prober.update([backendConfig("b0", { weight: 3 })], [2]);
    expect(counters.probe(2)).toBe(PROBE_HEALTHY);
    await clock.pass(1000);
    expect(counters.probe(2)).toBe(PROBE_UNHEALTHY);
    prober.stop();
  });
});

describe("what probes say", () => {
  test("every probe is reported with its time; health and counters follow rise and fall", async () => {
    const { clock, counters, well, prober, reports } = newProber();
    expect(counters.probe(2)).toBe(PROBE_UNKNOWN);
    prober.start();
    await clock.pass(0);
    expect(reports).toEqual([
      {
        row: 2,
        good: true,
        reason: "status 200",
        startedAtMs: 5000,
        from: "unknown",
        to: "healthy",
      },
    ]);
    well.value = false;
    await clock.pass(2500);
    expect(counters.probe(2)).toBe(PROBE_HEALTHY);
    await clock.pass(1000);
    expect(counters.probe(2)).toBe(PROBE_UNHEALTHY);
    expect(reports.at(-1)).toEqual({
      row: 2,
      good: false,
      reason: "status 503",
      startedAtMs: 8000,
      from: "healthy",
      to: "unhealthy",
    });
    well.value = true;
    await clock.pass(2000);
    expect(counters.probe(2)).toBe(PROBE_HEALTHY);
    expect(reports.filter(({ from, to }) => from !== to)).toHaveLength(3);
    prober.stop();
  });

  test("a first probe that fails takes the backend out alone", async () => {
    const { clock, counters, well, prober } = newProber();
    well.value = false;
    prober.start();
    await clock.pass(0);
    expect(counters.probe(2)).toBe(PROBE_UNHEALTHY);
    prober.stop();
  });

  test("what was known before a reload holds: one good probe does not bring an unhealthy backend back", async () => {
    const { clock, counters, prober, create } = newProber();
    counters.setProbe(2, PROBE_UNHEALTHY);
    prober.stop();
    const successor = create();
    successor.start();
    await clock.pass(0);
    expect(counters.probe(2)).toBe(PROBE_UNHEALTHY);
    await clock.pass(1000);
    expect(counters.probe(2)).toBe(PROBE_HEALTHY);
    successor.stop();
  });
});
