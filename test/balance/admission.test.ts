import { describe, expect, test } from "bun:test";
import { admit } from "../../src/balance/admission.ts";
import type { PoolBackend } from "../../src/pool/backend.ts";
import {
  EJECTION_NONE,
  EJECTION_ON,
  EJECTION_TRIAL_OPEN,
  EJECTION_TRIAL_TAKEN,
} from "../../src/pool/counters.ts";
import type { Pool } from "../../src/pool/pool.ts";
import { backendConfig, newPool } from "../_support/pools.ts";

function only(pool: Pool): PoolBackend {
  const [backend] = pool.backends;
  if (!backend) throw new Error("no backend");
  return backend;
}

describe("admission", () => {
  test("counts one request in flight until it is released, once", () => {
    const pool = newPool(1);
    const admission = admit(pool, only(pool), 1, false);
    expect(pool.counters.inFlight(0)).toBe(1);
    admission?.release();
    admission?.release();
    expect(pool.counters.inFlight(0)).toBe(0);
    expect(pool.counters.ejection(0)).toBe(EJECTION_NONE);
  });

  test("a backend that reached its limit is refused and holds nothing", () => {
    const pool = newPool([backendConfig("a", { maxInFlight: 1 })]);
    expect(admit(pool, only(pool), 0, false)).not.toBeNull();
    expect(admit(pool, only(pool), 1, false)).toBeNull();
    expect(pool.counters.inFlight(0)).toBe(1);
  });

  test("an open trial is won by one worker; the other gets nothing and its lease is gone", () => {
    const pool = newPool(1);
    pool.counters.setEjection(0, EJECTION_TRIAL_OPEN, 5);
    const take = pool.counters.takeTrial.bind(pool.counters);
    // Worker 0 wins between worker 1's look at the state and its attempt to take it.
    let won: number | null | undefined;
    pool.counters.takeTrial = (row, worker) => {
      pool.counters.takeTrial = take;
      won = admit(pool, only(pool), 0, false)?.takeTrial();
      return take(row, worker);
    };
    expect(admit(pool, only(pool), 1, false)).toBeNull();
    expect(won).toBeGreaterThanOrEqual(EJECTION_TRIAL_TAKEN);
    expect(pool.counters.ejection(0)).toBe(won as number);
    expect(pool.counters.inFlight(0)).toBe(1);
  });

  test("sent anyway to an ejected backend, a request is no trial", () => {
    const pool = newPool(1);
    pool.counters.setEjection(0, EJECTION_ON, 5);
    const admission = admit(pool, only(pool), 0, true);
    expect(admission?.takeTrial()).toBeNull();
    admission?.release();
    expect(pool.counters.ejection(0)).toBe(EJECTION_ON);
  });

  test("a trial that ends without an answer is open again", () => {
    const pool = newPool(1);
    pool.counters.setEjection(0, EJECTION_TRIAL_OPEN, 5);
    const admission = admit(pool, only(pool), 1, false);
    expect(pool.counters.ejection(0)).toBeGreaterThanOrEqual(EJECTION_TRIAL_TAKEN);
    admission?.release();
    expect(pool.counters.ejection(0)).toBe(EJECTION_TRIAL_OPEN);
    expect(pool.counters.inFlight(0)).toBe(0);
  });

  test("a trial whose answer was taken stays taken: the master decides", () => {
    const pool = newPool(1);
    pool.counters.setEjection(0, EJECTION_TRIAL_OPEN, 5);
    const admission = admit(pool, only(pool), 1, false);
    const trial = admission?.takeTrial();
    expect(trial).toBe(pool.counters.ejection(0));
    expect(admission?.takeTrial()).toBeNull();
    admission?.release();
    expect(pool.counters.ejection(0)).toBe(trial as number);
  });
});
