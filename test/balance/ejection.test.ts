import { describe, expect, test } from "bun:test";
import { PoolEjection } from "../../src/balance/ejection.ts";
import type { EjectionConfig } from "../../src/config/config.ts";
import {
  EJECTION_NONE,
  EJECTION_ON,
  EJECTION_TRIAL_OPEN,
  PROBE_HEALTHY,
  PROBE_UNHEALTHY,
} from "../../src/pool/counters.ts";
import { newCounters } from "../_support/pools.ts";

const CONFIG: EjectionConfig = { failures: 5, baseMs: 10_000, maxMs: 25_000, maxPercent: 50 };
const START = 1_000_000;

function newMaster(
  options: {
    rows?: number;
    config?: Partial<EjectionConfig>;
    rise?: number | null;
    random?: number;
  } = {},
) {
  const rows = Array.from({ length: options.rows ?? 4 }, (_, row) => row);
  const counters = newCounters(rows.length);
  const clock = { nowMs: START };
  const create = () =>
    new PoolEjection({
      config: { ...CONFIG, ...options.config },
      counters,
      rows,
      rise: options.rise === undefined ? 2 : options.rise,
      now: () => clock.nowMs,
      random: () => options.random ?? 0,
    });
  const ejection = create();
  return {
    counters,
    clock,
    create,
    ejection,
    /** As many failures in a row as it takes. */
    fail(row: number) {
      for (let i = 0; i < CONFIG.failures; i++) counters.countFailure(row, 0);
      counters.addConsecutiveFailures(row, CONFIG.failures);
      return ejection.failing(row);
    },
    /** A worker wins the trial, and its answer comes. */
    tryIt(row: number, ok: boolean) {
      const trial = counters.takeTrial(row, 1);
      expect(trial).not.toBeNull();
      return ejection.trialEnded(row, trial as number, ok);
    },
    at(ms: number) {
      clock.nowMs = START + ms;
      return ejection.advance();
    },
  };
}

describe("getting ejected", () => {
  test("by enough failures in a row, for the base time", () => {
    const { ejection, counters, fail } = newMaster();
    expect(fail(2)).toEqual([{ row: 2, to: "ejected", untilMs: START + 10_000 }]);
    expect(counters.ejection(2)).toBe(EJECTION_ON);
    expect(counters.ejectedUntil(2)).toBe(START + 10_000);
    expect(ejection.nextDeadlineMs()).toBe(START + 10_000);
  });

  test("not when a success came in while the report was on its way", () => {
    const { ejection, counters } = newMaster();
    counters.addConsecutiveFailures(0, 4);
    expect(ejection.failing(0)).toEqual([]);
    expect(counters.ejection(0)).toBe(EJECTION_NONE);
  });

  test("once: the second report for the same failures changes nothing", () => {
    const { ejection, fail, counters } = newMaster();
    fail(0);
    expect(ejection.failing(0)).toEqual([]);
    expect(counters.ejectedUntil(0)).toBe(START + 10_000);
  });

  test("up to a tenth longer, so that backends that failed together come back apart, and never above max", () => {
    expect(newMaster({ random: 0.5 }).fail(0)[0]?.untilMs).toBe(START + 10_500);
    expect(newMaster({ random: 0.5, config: { maxMs: 10_200 } }).fail(0)[0]?.untilMs).toBe(
      START + 10_200,
    );
  });

  test("a row of another pool is nobody's business", () => {
    expect(newMaster().ejection.failing(17)).toEqual([]);
  });
});

describe("how many may be ejected", () => {
  test("half of ten, not six", () => {
    const { fail } = newMaster({ rows: 10 });
    expect([0, 1, 2, 3, 4].map((row) => fail(row).length)).toEqual([1, 1, 1, 1, 1]);
    expect(fail(5)).toEqual([]);
  });

  test("one of three although 10 percent of three is none", () => {
    const { fail } = newMaster({ rows: 3, config: { maxPercent: 10 } });
    expect(fail(0)).toHaveLength(1);
    expect(fail(1)).toEqual([]);
  });

  test("with 0 percent none, with 100 percent all but the last", () => {
    expect(newMaster({ config: { maxPercent: 0 } }).fail(0)).toEqual([]);
    const { fail } = newMaster({ rows: 3, config: { maxPercent: 100 } });
    expect([0, 1, 2].map((row) => fail(row).length)).toEqual([1, 1, 0]);
  });

  test("never the only backend", () => {
    expect(newMaster({ rows: 1, config: { maxPercent: 100 } }).fail(0)).toEqual([]);
  });

  test("the share is of those that could serve: probe-down and draining ones do not count", () => {
    const { fail, counters } = newMaster({ rows: 6 });
    counters.setProbe(4, PROBE_UNHEALTHY);
    counters.setDraining(5, true);
    expect([0, 1, 2].map((row) => fail(row).length)).toEqual([1, 1, 0]);
  });

  test("never the last that probes find well, though ill ones are there", () => {
    const { fail, counters } = newMaster({ rows: 3 });
    counters.setProbe(0, PROBE_UNHEALTHY);
    counters.setProbe(1, PROBE_UNHEALTHY);
    expect(fail(2)).toEqual([]);
  });

  test("a backend on trial is still out", () => {
    const { fail, at } = newMaster({ rows: 2 });
    fail(0);
    expect(at(10_000)).toEqual([{ row: 0, to: "trial", untilMs: 0 }]);
    expect(fail(1)).toEqual([]);
  });

  test("one that was refused is ejected at its next report, when there is room again", () => {
    const { fail, at, tryIt } = newMaster({ rows: 2 });
    fail(0);
    expect(fail(1)).toEqual([]);
    at(10_000);
    tryIt(0, true);
    expect(fail(1)).toHaveLength(1);
  });
});

describe("coming back", () => {
  test("at its time, not before, one trial is open; a good answer ends it and clears the failures", () => {
    const { fail, at, tryIt, counters, ejection } = newMaster();
    fail(0);
    expect(at(9_999)).toEqual([]);
    expect(at(10_000)).toEqual([{ row: 0, to: "trial", untilMs: 0 }]);
    expect(counters.ejection(0)).toBe(EJECTION_TRIAL_OPEN);
    expect(ejection.nextDeadlineMs()).toBeNull();
    expect(tryIt(0, true)).toEqual([{ row: 0, to: "returned", untilMs: 0 }]);
    expect(counters.ejection(0)).toBe(EJECTION_NONE);
    expect(counters.consecutiveFailures(0)).toBe(0);
  });

  test("a failed trial ejects again, each time by one base longer, up to max", () => {
    const { fail, at, tryIt, ejection } = newMaster();
    fail(0);
    at(10_000);
    expect(tryIt(0, false)).toEqual([{ row: 0, to: "ejected", untilMs: START + 30_000 }]);
    expect(at(29_999)).toEqual([]);
    expect(at(30_000)).toHaveLength(1);
    expect(tryIt(0, false)[0]?.untilMs).toBe(START + 55_000);
    expect(ejection.nextDeadlineMs()).toBe(START + 55_000);
  });

  test("a failed trial ejects again even when the limit is reached: it was out already", () => {
    const { fail, at, tryIt, counters } = newMaster({ rows: 4 });
    fail(0);
    fail(1);
    at(10_000);
    counters.setProbe(2, PROBE_UNHEALTHY);
    expect(tryIt(0, false)).toHaveLength(1);
  });

  test("a report about a trial that is not under way is ignored", () => {
    const { fail, at, ejection, counters } = newMaster();
    const anyState = [EJECTION_NONE, EJECTION_ON, EJECTION_TRIAL_OPEN, 17];
    const report = () => anyState.flatMap((trial) => ejection.trialEnded(0, trial, true));
    expect(report()).toEqual([]);
    fail(0);
    expect(report()).toEqual([]);
    expect(counters.ejection(0)).toBe(EJECTION_ON);
    at(10_000);
    expect(report()).toEqual([]);
    expect(counters.ejection(0)).toBe(EJECTION_TRIAL_OPEN);
  });

  test.each([[true], [false]])(
    "the verdict (good: %j) of a worker that was killed does not decide the next worker's trial",
    (ok) => {
      // It did: a failed one ejected the backend while the next request was on trial, and after the ejection
      // another began beside it.
      const { fail, at, ejection, counters } = newMaster();
      fail(0);
      at(10_000);
      const first = counters.takeTrial(0, 1) as number;
      counters.returnShare(1);
      const second = counters.takeTrial(0, 1) as number;
      expect(ejection.trialEnded(0, first, ok)).toEqual([]);
      expect(counters.ejection(0)).toBe(second);
      expect(ejection.trialEnded(0, second, true)).toHaveLength(1);
    },
  );

  test("earlier, after enough good probes in a row that began after the ejection", () => {
    const { fail, ejection, clock } = newMaster({ rise: 2 });
    fail(0);
    clock.nowMs = START + 500;
    expect(ejection.probed(0, true, START - 1)).toEqual([]);
    expect(ejection.probed(0, true, START + 100)).toEqual([]);
    expect(ejection.probed(0, false, START + 200)).toEqual([]);
    expect(ejection.probed(0, true, START + 300)).toEqual([]);
    expect(ejection.probed(0, true, START + 400)).toEqual([{ row: 0, to: "trial", untilMs: 0 }]);
    expect(ejection.probed(0, true, START + 500)).toEqual([]);
  });

  test("not by probes that prove nothing: an open port does not answer requests", () => {
    const { fail, ejection, at } = newMaster({ rise: null });
    fail(0);
    for (let i = 1; i < 9; i++) expect(ejection.probed(0, true, START + i)).toEqual([]);
    expect(at(10_000)).toEqual([{ row: 0, to: "trial", untilMs: 0 }]);
  });

  test("the probes of one ejection do not shorten the next", () => {
    const { fail, ejection, clock, tryIt, counters } = newMaster({ rise: 2 });
    fail(0);
    ejection.probed(0, true, START + 1);
    ejection.probed(0, true, START + 2);
    clock.nowMs = START + 3;
    tryIt(0, false);
    expect(ejection.probed(0, true, START + 4)).toEqual([]);
    expect(counters.ejection(0)).toBe(EJECTION_ON);
  });

  test("never while probe-down, and with the probe that finds it well when its time is over", () => {
    const { fail, at, ejection, counters } = newMaster({ rise: 9 });
    fail(0);
    counters.setProbe(0, PROBE_UNHEALTHY);
    expect(ejection.nextDeadlineMs()).toBeNull();
    expect(at(60_000)).toEqual([]);
    for (let i = 0; i < 20; i++) expect(ejection.probed(0, i % 9 !== 0, START + i)).toEqual([]);
    expect(ejection.probed(0, false, START + 59_000)).toEqual([]);
    counters.setProbe(0, PROBE_HEALTHY);
    expect(ejection.probed(0, true, START + 60_000)).toEqual([{ row: 0, to: "trial", untilMs: 0 }]);
  });
});

describe("forgiving", () => {
  const ejectAndReturn = (master: ReturnType<typeof newMaster>, ms: number) => {
    master.clock.nowMs = START + ms;
    const [change] = master.fail(0);
    const lengthMs = (change?.untilMs ?? 0) - master.clock.nowMs;
    master.at(ms + lengthMs);
    master.tryIt(0, true);
    return lengthMs;
  };

  test("a backend that fails again at once is out for longer", () => {
    const master = newMaster();
    expect(ejectAndReturn(master, 0)).toBe(10_000);
    expect(ejectAndReturn(master, 10_001)).toBe(20_000);
  });

  test("each base time without a failure takes one ejection off", () => {
    const master = newMaster({ config: { maxMs: 300_000 } });
    ejectAndReturn(master, 0);
    ejectAndReturn(master, 10_000);
    expect(ejectAndReturn(master, 30_000)).toBe(30_000);
    for (const due of [70_000, 80_000]) {
      expect(master.ejection.nextDeadlineMs()).toBe(START + due);
      expect(master.at(due)).toEqual([]);
    }
    expect(ejectAndReturn(master, 80_001)).toBe(20_000);
  });

  test("nothing is due when all is forgiven", () => {
    const master = newMaster();
    ejectAndReturn(master, 0);
    master.at(20_000);
    expect(master.ejection.nextDeadlineMs()).toBeNull();
    expect(ejectAndReturn(master, 30_000)).toBe(10_000);
  });

  test("a single failure in that time starts it over", () => {
    const master = newMaster();
    ejectAndReturn(master, 0);
    master.counters.countFailure(0, 1);
    master.at(20_000);
    expect(master.ejection.nextDeadlineMs()).toBe(START + 30_000);
    expect(ejectAndReturn(master, 20_001)).toBe(20_000);
  });
});

test("a backend that stays through a reload is out for longer the next time, another one is not", () => {
  const { counters, clock, ejection, fail, tryIt, at } = newMaster();
  fail(0);
  at(10_000);
  tryIt(0, true);
  const rows = [0, 1, 5];
  const now = () => clock.nowMs;
  const more = newCounters(8);
  const next = new PoolEjection(
    { config: CONFIG, counters, rows: rows.slice(0, 2), rise: 2, now, random: () => 0 },
    ejection,
  );
  counters.addConsecutiveFailures(0, CONFIG.failures);
  expect(next.failing(0)).toMatchObject([{ row: 0, untilMs: clock.nowMs + 20_000 }]);
  const fresh = new PoolEjection(
    { config: CONFIG, counters: more, rows, rise: 2, now, random: () => 0 },
    ejection,
  );
  more.addConsecutiveFailures(5, CONFIG.failures);
  expect(fresh.failing(5)).toMatchObject([{ row: 5, untilMs: clock.nowMs + 10_000 }]);
});

test("what was ejected before a reload comes back after it", () => {
  const { fail, create, clock, counters } = newMaster();
  fail(0);
  const successor = create();
  expect(successor.nextDeadlineMs()).toBe(START + 10_000);
  clock.nowMs = START + 10_000;
  expect(successor.advance()).toEqual([{ row: 0, to: "trial", untilMs: 0 }]);
  const trial = counters.takeTrial(0, 0) as number;
  expect(successor.trialEnded(0, trial, false)).toEqual([
    { row: 0, to: "ejected", untilMs: START + 30_000 },
  ]);
});
