import { describe, expect, test } from "bun:test";
import { selectCandidates } from "../../src/balance/candidates.ts";
import { explain } from "../../src/balance/decision.ts";
import type { PoolBackend } from "../../src/pool/backend.ts";
import { EJECTION_ON } from "../../src/pool/counters.ts";
import { backendConfig, newPool } from "../_support/pools.ts";

const NONE: ReadonlySet<PoolBackend> = new Set();

function decisionFor(
  pool: ReturnType<typeof newPool>,
  tried: ReadonlySet<PoolBackend> = NONE,
  scores: readonly number[] = [],
) {
  const { candidates, failOpen } = selectCandidates(pool, tried);
  return explain({ pool, candidates, scores, tried, failOpen });
}

function reasons(...args: Parameters<typeof decisionFor>): string[] {
  return decisionFor(...args).excluded.map(({ id, reason }) => `${id} ${reason}`);
}

describe("why a backend is no candidate", () => {
  test("it is at its limit", () => {
    const pool = newPool([backendConfig("a", { maxInFlight: 1 }), backendConfig("b")]);
    pool.counters.addInFlight(0, 0, 1);
    expect(reasons(pool)).toEqual(["a full"]);
  });

  test("it was tried for this request, though it is ejected by now", () => {
    const pool = newPool(2);
    pool.counters.setEjection(0, EJECTION_ON, 1);
    expect(reasons(pool, new Set([pool.backends[0]!]))).toEqual(["a tried"]);
    expect(reasons(pool)).toEqual(["a ejected"]);
  });

  test("it is at its limit while every backend is ejected, which then is no reason", () => {
    const pool = newPool([backendConfig("a", { maxInFlight: 1 }), backendConfig("b")]);
    pool.counters.addInFlight(0, 0, 1);
    for (const row of [0, 1]) pool.counters.setEjection(row, EJECTION_ON, 1);
    expect(reasons(pool)).toEqual(["a full"]);
  });
});

test("tells who is no candidate in a large pool without a look through all candidates for each", () => {
  const pool = newPool(Array.from({ length: 500 }, (_, index) => backendConfig(`b${index}`)));
  pool.counters.setEjection(499, EJECTION_ON, 1);
  const { candidates, failOpen } = selectCandidates(pool, NONE);
  let looks = 0;
  const counted = new Proxy(candidates, {
    get(list, key) {
      looks++;
      return Reflect.get(list, key) as unknown;
    },
  });
  const { excluded } = explain({ pool, candidates: counted, scores: [], tried: NONE, failOpen });
  expect(excluded).toEqual([{ id: "b499", reason: "ejected" }]);
  // A few for each; all for each were 125,000.
  expect(looks).toBeLessThan(5000);
});

test("one candidate with the lowest score is no tie, two are", () => {
  const pool = newPool(3);
  expect(decisionFor(pool, NONE, [1, 2, 2]).tie).toBe(false);
  expect(decisionFor(pool, NONE, [2, 1, 1]).tie).toBe(true);
});
