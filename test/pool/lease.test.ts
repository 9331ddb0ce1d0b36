import { describe, expect, test } from "bun:test";
import { Lease } from "../../src/pool/lease.ts";
import { newCounters } from "../_support/pools.ts";

describe("lease", () => {
  test("released several times it gives back once", () => {
    const counters = newCounters(1);
    const other = Lease.take(counters, 0, 0, null);
    const lease = Lease.take(counters, 0, 0, null);
    expect(counters.inFlight(0)).toBe(2);
    lease?.release();
    lease?.release();
    lease?.release();
    expect(counters.inFlight(0)).toBe(1);
    other?.release();
    expect(counters.inFlight(0)).toBe(0);
  });

  test("a limit holds over two workers together", () => {
    const counters = newCounters(1);
    const taken = [0, 1, 0, 1, 0].map((worker) => Lease.take(counters, 0, worker, 3));
    expect(taken.map((lease) => lease !== null)).toEqual([true, true, true, false, false]);
    expect(counters.inFlight(0)).toBe(3);
    taken[1]?.release();
    expect(Lease.take(counters, 0, 0, 3)).not.toBeNull();
    expect(Lease.take(counters, 0, 1, 3)).toBeNull();
  });

  test("a refused lease holds nothing", () => {
    const counters = newCounters(1);
    expect(Lease.take(counters, 0, 1, 0)).toBeNull();
    expect(counters.inFlight(0)).toBe(0);
    expect(counters.isQuiet(0)).toBe(true);
  });
});
