import { describe, expect, test } from "bun:test";
import { place } from "../../src/balance/placement.ts";
import type { Strategy } from "../../src/plugin.ts";
import type { Pool } from "../../src/pool/pool.ts";
import { fakeRequest } from "../../src/strategy/fake-request.ts";
import { StrategyHost } from "../../src/strategy/host.ts";
import { backendConfig, newPool } from "../_support/pools.ts";

/** `b` is at its limit, the others are idle. */
function poolWithOneFull(): Pool {
  const pool = newPool(["a", "b", "c"].map((id) => backendConfig(id, { maxInFlight: 1 })));
  pool.counters.addInFlight(1, 0, 1);
  return pool;
}

function placeIn(pool: Pool, strategy: Strategy, wantsDecision = true) {
  let ms = 0;
  const host = new StrategyHost({
    plugin: { name: "mine", apiVersion: 1, create: () => strategy },
    version: "1",
    options: undefined,
    pool: "web",
    backends: pool.backends,
    now: () => 0,
    random: () => 0.5,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    previous: null,
  });
  return place({
    pool,
    host,
    worker: 0,
    request: fakeRequest(),
    attempt: 1,
    tried: new Set(),
    session: null,
    now: () => ms++,
    wantsDecision,
  });
}

describe("a request that the strategy refuses", () => {
  test("by its scores leaves the decision that this was, which is no tie", () => {
    expect(placeIn(poolWithOneFull(), { score: () => Infinity })).toEqual({
      backend: null,
      fallback: false,
      pickMs: 1,
      decision: {
        candidates: [
          { id: "a", inFlight: 0, score: Infinity },
          { id: "c", inFlight: 0, score: Infinity },
        ],
        excluded: [{ id: "b", reason: "full" }],
        tie: false,
        failOpen: false,
        ejected: 0,
      },
    });
  });

  test("by its pick leaves it without scores", () => {
    expect(placeIn(poolWithOneFull(), { pick: () => null })).toMatchObject({
      backend: null,
      decision: {
        candidates: [
          { id: "a", score: null },
          { id: "c", score: null },
        ],
        excluded: [{ id: "b", reason: "full" }],
      },
    });
  });

  test("leaves none that nobody wants, and no lease", () => {
    const pool = poolWithOneFull();
    expect(placeIn(pool, { pick: () => null }, false)).toMatchObject({
      backend: null,
      decision: null,
    });
    expect(pool.backends.map(({ inFlight }) => inFlight)).toEqual([0, 1, 0]);
  });
});

test("a strategy is not asked when nobody is there, and refuses nothing", () => {
  const pool = poolWithOneFull();
  for (const row of [0, 2]) pool.counters.addInFlight(row, 0, 1);
  const pick = (): never => {
    throw new Error("asked");
  };
  expect(placeIn(pool, { pick })).toBe("full");
});
