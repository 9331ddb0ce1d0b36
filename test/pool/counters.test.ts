import { describe, expect, test } from "bun:test";
import {
  Counters,
  countersLength,
  EJECTION_NONE,
  EJECTION_ON,
  EJECTION_TRIAL_OPEN,
  EJECTION_TRIAL_TAKEN,
  PROBE_HEALTHY,
  PROBE_UNKNOWN,
} from "../../src/pool/counters.ts";
import { newCounters } from "../_support/pools.ts";

describe("counters", () => {
  test("what is in flight is the sum over the workers", () => {
    const counters = newCounters(2, 3);
    expect(counters.addInFlight(1, 0, 1)).toBe(1);
    expect(counters.addInFlight(1, 2, 1)).toBe(2);
    expect(counters.addInFlight(1, 0, -1)).toBe(1);
    expect(counters.inFlight(1)).toBe(1);
    expect(counters.inFlight(0)).toBe(0);
  });

  test("connections are the sum over the workers", () => {
    const counters = newCounters(1, 2);
    counters.setConnections(0, 0, 5, 2);
    counters.setConnections(0, 1, 7, 3);
    counters.setConnections(0, 0, 4, 1);
    expect(counters.openConnections(0)).toBe(11);
    expect(counters.idleConnections(0)).toBe(4);
  });

  test("totals count beyond what 32 bits hold", () => {
    const shape = { rows: 1, workers: 2 };
    const cells = new Int32Array(countersLength(shape));
    const counters = new Counters(cells, shape);
    counters.countRequest(0, 1);
    const total = new Float64Array(cells.buffer);
    total[total.indexOf(1)] = 2 ** 40;
    counters.countRequest(0, 1);
    counters.countRequest(0, 0);
    counters.countFailure(0, 0);
    expect(counters.requests(0)).toBe(2 ** 40 + 2);
    expect(counters.failures(0)).toBe(1);
  });

  test("every cell is its own: filling one changes no other number of any row or worker", () => {
    const counters = newCounters(3, 2);
    const setters: Record<string, () => void> = {
      inFlight: () => counters.addInFlight(1, 1, 1),
      connections: () => counters.setConnections(1, 1, 2, 3),
      requests: () => counters.countRequest(1, 1),
      failures: () => counters.countFailure(1, 1),
      consecutive: () => counters.addConsecutiveFailures(1, 4),
      probe: () => counters.setProbe(1, PROBE_HEALTHY),
      ejection: () => counters.setEjection(1, EJECTION_ON, 123.5),
      draining: () => counters.setDraining(1, true),
    };
    for (const set of Object.values(setters)) set();
    expect(read(counters, 1)).toEqual([1, 2, 3, 1, 1, 4, PROBE_HEALTHY, EJECTION_ON, 123.5, true]);
    for (const row of [0, 2]) {
      expect(read(counters, row)).toEqual([
        0,
        0,
        0,
        0,
        0,
        0,
        PROBE_UNKNOWN,
        EJECTION_NONE,
        0,
        false,
      ]);
    }
  });

  test("failures in a row are counted over all workers and cleared once", () => {
    const counters = newCounters(1);
    expect(counters.addConsecutiveFailures(0, 1)).toBe(1);
    expect(counters.addConsecutiveFailures(0, 3)).toBe(4);
    expect(counters.clearConsecutiveFailures(0)).toBe(4);
    expect(counters.clearConsecutiveFailures(0)).toBe(0);
    expect(counters.consecutiveFailures(0)).toBe(0);
  });

  test("of two workers that want the trial one gets it", () => {
    const counters = newCounters(1);
    counters.setEjection(0, EJECTION_TRIAL_OPEN, 10);
    const [first = null, second] = [0, 1].map((worker) => counters.takeTrial(0, worker));
    expect(first).toBeGreaterThanOrEqual(EJECTION_TRIAL_TAKEN);
    expect(second).toBeNull();
    expect(counters.ejection(0)).toBe(first as number);
  });

  test("no two trials have the same number, and only its own number opens one again", () => {
    const counters = newCounters(1, 3);
    const numbers = new Set<number>();
    let last = 0;
    for (let i = 0; i < 100; i++) {
      counters.setEjection(0, EJECTION_TRIAL_OPEN, 10);
      const trial = counters.takeTrial(0, i % 3) as number;
      numbers.add(trial);
      counters.reopenTrial(0, last);
      expect(counters.ejection(0)).toBe(trial);
      last = trial;
    }
    expect(numbers.size).toBe(100);
    counters.reopenTrial(0, last);
    expect(counters.ejection(0)).toBe(EJECTION_TRIAL_OPEN);
  });

  test("numbers of trials stay within the 32 bits of their cell, and the worker is found in them", () => {
    const shape = { rows: 1, workers: 3 };
    const cells = new Int32Array(countersLength(shape));
    const counters = new Counters(cells, shape);
    counters.takeTrial(0, 0);
    const count = cells.indexOf(1);
    for (const asked of [0x7fff_ffff, -1, 715_827_876, 715_827_877]) {
      cells[count] = asked;
      counters.setEjection(0, EJECTION_TRIAL_OPEN, 0);
      const trial = counters.takeTrial(0, 2) as number;
      expect(trial).toBeGreaterThanOrEqual(EJECTION_TRIAL_TAKEN);
      expect(counters.ejection(0)).toBe(trial);
      counters.returnShare(1);
      expect(counters.ejection(0)).toBe(trial);
      counters.returnShare(2);
      expect(counters.ejection(0)).toBe(EJECTION_TRIAL_OPEN);
    }
  });

  test("a row given to another backend does not use the numbers of trials again", () => {
    const counters = newCounters(1);
    counters.startRow(0);
    counters.setEjection(0, EJECTION_TRIAL_OPEN, 0);
    const before = counters.takeTrial(0, 0);
    counters.startRow(0);
    counters.setEjection(0, EJECTION_TRIAL_OPEN, 0);
    expect(counters.takeTrial(0, 0)).not.toBe(before);
  });

  test("a dead worker's share is given back: requests, connections and trials; totals stay", () => {
    const counters = newCounters(2, 2);
    for (const row of [0, 1]) {
      for (const worker of [0, 1]) {
        counters.addInFlight(row, worker, 1);
        counters.setConnections(row, worker, 3, 1);
        counters.countRequest(row, worker);
        counters.countFailure(row, worker);
      }
    }
    for (const row of [0, 1]) counters.setEjection(row, EJECTION_TRIAL_OPEN, 0);
    counters.takeTrial(0, 1);
    const survivors = counters.takeTrial(1, 0) as number;
    counters.returnShare(1);
    for (const row of [0, 1]) {
      expect(counters.inFlight(row)).toBe(1);
      expect(counters.openConnections(row)).toBe(3);
      expect(counters.idleConnections(row)).toBe(1);
      expect(counters.requests(row)).toBe(2);
      expect(counters.failures(row)).toBe(2);
    }
    expect(counters.ejection(0)).toBe(EJECTION_TRIAL_OPEN);
    expect(counters.ejection(1)).toBe(survivors);
  });

  test("a row is quiet when nothing is in flight and no connection is open", () => {
    const counters = newCounters(1);
    expect(counters.isQuiet(0)).toBe(true);
    counters.addInFlight(0, 1, 1);
    expect(counters.isQuiet(0)).toBe(false);
    counters.addInFlight(0, 1, -1);
    counters.setConnections(0, 0, 1, 1);
    expect(counters.isQuiet(0)).toBe(false);
    counters.setConnections(0, 0, 0, 0);
    expect(counters.isQuiet(0)).toBe(true);
  });

  test("a row given to another backend starts empty and leaves its neighbours alone", () => {
    const counters = newCounters(3);
    for (const row of [0, 1, 2]) {
      counters.countRequest(row, 0);
      counters.countFailure(row, 1);
      counters.addConsecutiveFailures(row, 2);
      counters.setProbe(row, PROBE_HEALTHY);
      counters.setEjection(row, EJECTION_ON, 99);
      counters.setDraining(row, true);
    }
    counters.startRow(1);
    expect(read(counters, 1)).toEqual([0, 0, 0, 0, 0, 0, PROBE_UNKNOWN, EJECTION_NONE, 0, false]);
    for (const row of [0, 2]) {
      expect(read(counters, row)).toEqual([0, 0, 0, 1, 1, 2, PROBE_HEALTHY, EJECTION_ON, 99, true]);
    }
  });

  test("memory that is too short, and rows and workers that do not exist, are refused", () => {
    const shape = { rows: 2, workers: 2 };
    const words = countersLength(shape);
    expect(() => new Counters(new Int32Array(words - 1), shape)).toThrow(
      `need ${words} words, got ${words - 1}`,
    );
    const counters = newCounters(2, 2);
    expect(() => counters.inFlight(2)).toThrow(RangeError);
    expect(() => counters.addInFlight(0, 2, 1)).toThrow(RangeError);
    expect(() => counters.addInFlight(-1, 0, 1)).toThrow(RangeError);
  });
});

function read(counters: Counters, row: number): readonly (number | boolean)[] {
  return [
    counters.inFlight(row),
    counters.openConnections(row),
    counters.idleConnections(row),
    counters.requests(row),
    counters.failures(row),
    counters.consecutiveFailures(row),
    counters.probe(row),
    counters.ejection(row),
    counters.ejectedUntil(row),
    counters.draining(row),
  ];
}
