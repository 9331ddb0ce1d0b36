import { describe, expect, test } from "bun:test";
import { type Selection, selectCandidates } from "../../src/balance/candidates.ts";
import type { PoolBackend } from "../../src/pool/backend.ts";
import {
  EJECTION_ON,
  EJECTION_TRIAL_OPEN,
  EJECTION_TRIAL_TAKEN,
  PROBE_HEALTHY,
  PROBE_UNHEALTHY,
} from "../../src/pool/counters.ts";
import type { Pool } from "../../src/pool/pool.ts";
import { backendConfig, newPool } from "../_support/pools.ts";

const NONE: ReadonlySet<PoolBackend> = new Set();
const summary = (selection: Selection) => ({
  ids: selection.candidates.map((backend) => backend.id).join(""),
  failOpen: selection.failOpen,
  none: selection.none,
});
const select = (pool: Pool, tried = "") =>
  summary(
    selectCandidates(pool, new Set(pool.backends.filter((backend) => tried.includes(backend.id)))),
  );

describe("candidates", () => {
  test("everybody, as the pool's own list, when all are available and none was tried", () => {
    const pool = newPool(3);
    pool.counters.setProbe(0, PROBE_HEALTHY);
    expect(selectCandidates(pool, NONE).candidates).toBe(pool.backends);
    expect(select(pool)).toEqual({ ids: "abc", failOpen: false, none: null });
  });

  test("not those that are draining, probe-down, ejected, on somebody's trial, or tried", () => {
    const pool = newPool(6);
    pool.counters.setDraining(0, true);
    pool.counters.setProbe(1, PROBE_UNHEALTHY);
    pool.counters.setEjection(2, EJECTION_ON, 1);
    pool.counters.setEjection(3, EJECTION_TRIAL_TAKEN, 1);
    expect(select(pool, "e")).toEqual({ ids: "f", failOpen: false, none: null });
  });

  test("not those tried before, in the pool's order", () => {
    expect(select(newPool(3), "b")).toEqual({ ids: "ac", failOpen: false, none: null });
    expect(select(newPool(3), "abc")).toEqual({ ids: "", failOpen: false, none: "tried" });
  });

  test("a backend at its limit is passed over until a request ends", () => {
    const pool = newPool([backendConfig("a", { maxInFlight: 2 }), backendConfig("b")]);
    pool.counters.addInFlight(0, 0, 1);
    expect(select(pool).ids).toBe("ab");
    pool.counters.addInFlight(0, 1, 1);
    expect(select(pool).ids).toBe("b");
    pool.counters.addInFlight(0, 0, -1);
    expect(select(pool).ids).toBe("ab");
  });

  test("a backend whose trial is open is a candidate", () => {
    const pool = newPool(2);
    pool.counters.setEjection(1, EJECTION_TRIAL_OPEN, 1);
    expect(select(pool)).toEqual({ ids: "ab", failOpen: false, none: null });
  });

  test("all ejected: requests are sent anyway, but not to the probe-down or draining", () => {
    const pool = newPool(4);
    for (const row of [0, 1, 2, 3]) pool.counters.setEjection(row, EJECTION_ON, 1);
    pool.counters.setEjection(1, EJECTION_TRIAL_TAKEN + 1, 1);
    pool.counters.setProbe(2, PROBE_UNHEALTHY);
    pool.counters.setDraining(3, true);
    expect(select(pool)).toEqual({ ids: "ab", failOpen: true, none: null });
    expect(select(pool, "a")).toEqual({ ids: "b", failOpen: true, none: null });
  });

  test("an ejected backend stays out when the others have merely been tried or are full", () => {
    const pool = newPool([
      backendConfig("a"),
      backendConfig("b"),
      backendConfig("c", { maxInFlight: 1 }),
    ]);
    pool.counters.setEjection(0, EJECTION_ON, 1);
    expect(select(pool, "bc")).toEqual({ ids: "", failOpen: false, none: "tried" });
    pool.counters.addInFlight(2, 0, 1);
    expect(select(pool, "b")).toEqual({ ids: "", failOpen: false, none: "full" });
  });

  test("all probe-down or all draining: none, and which of the two", () => {
    const pool = newPool(2);
    pool.counters.setProbe(0, PROBE_UNHEALTHY);
    pool.counters.setProbe(1, PROBE_UNHEALTHY);
    expect(select(pool)).toEqual({ ids: "", failOpen: false, none: "down" });
    pool.counters.setEjection(0, EJECTION_ON, 1);
    pool.counters.setDraining(1, true);
    expect(select(pool).none).toBe("down");
    pool.counters.setDraining(0, true);
    expect(select(pool).none).toBe("draining");
  });

  test("limits hold when failing open too", () => {
    const pool = newPool([backendConfig("a", { maxInFlight: 1 })]);
    pool.counters.setEjection(0, EJECTION_ON, 1);
    pool.counters.addInFlight(0, 1, 1);
    expect(select(pool)).toEqual({ ids: "", failOpen: true, none: "full" });
  });
});
