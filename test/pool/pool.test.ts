import { describe, expect, test } from "bun:test";
import { configOf, rowOf } from "../../src/pool/backend.ts";
import { PROBE_HEALTHY, PROBE_UNHEALTHY } from "../../src/pool/counters.ts";
import { Pool } from "../../src/pool/pool.ts";
import { backendConfig, newCounters, newPool, poolConfig } from "../_support/pools.ts";

describe("pool", () => {
  test("each backend reads its own row", () => {
    const counters = newCounters(5);
    const pool = new Pool(poolConfig([backendConfig("a"), backendConfig("b")]), counters, [4, 2]);
    counters.addInFlight(4, 0, 1);
    counters.addInFlight(4, 1, 1);
    counters.setDraining(2, true);
    expect(pool.backends.map((backend) => backend.inFlight)).toEqual([2, 0]);
    expect(pool.backends.map((backend) => backend.draining)).toEqual([false, true]);
    expect(pool.backends.map(rowOf)).toEqual([4, 2]);
  });

  test("health follows the probe state", () => {
    const pool = newPool(1);
    const [backend] = pool.backends;
    expect(backend?.health).toBe("unknown");
    pool.counters.setProbe(0, PROBE_HEALTHY);
    expect(backend?.health).toBe("healthy");
    pool.counters.setProbe(0, PROBE_UNHEALTHY);
    expect(backend?.health).toBe("unhealthy");
  });

  test("a strategy can change neither a backend nor the list, and does not see how we reach it", () => {
    const labels = { zone: "b" };
    const pool = newPool([backendConfig("a", { labels, maxInFlight: 7 })]);
    const [backend] = pool.backends;
    if (!backend) throw new Error("no backend");
    expect(Object.isFrozen(backend)).toBe(true);
    expect(Object.isFrozen(backend.labels)).toBe(true);
    expect(Object.keys(backend)).toEqual(["id", "url"]);
    expect(configOf(backend).maxInFlight).toBe(7);
    labels.zone = "c";
    expect(backend.labels).toEqual({ zone: "b" });
  });

  test("rows that do not match the backends are refused", () => {
    expect(() => new Pool(poolConfig([backendConfig("a")]), newCounters(2), [0, 1])).toThrow(
      "pool web: 1 backends, 2 rows",
    );
  });
});

test("nothing that a strategy can reach from a backend leads behind it", () => {
  const [backend] = newPool(1).backends;
  const { constructor } = Object.getPrototypeOf(backend);
  expect(Object.getOwnPropertyNames(constructor).toSorted()).toEqual([
    "length",
    "name",
    "prototype",
  ]);
  expect(() => Object.defineProperty(constructor.prototype, "inFlight", { value: 0 })).toThrow();
});
