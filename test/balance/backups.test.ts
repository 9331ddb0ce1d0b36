/** Backups: candidates only when no other backend is one. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { exclusionOf, selectCandidates } from "../../src/balance/candidates.ts";
import type { PoolBackend } from "../../src/pool/backend.ts";
import {
  EJECTION_ON,
  EJECTION_TRIAL_OPEN,
  EJECTION_TRIAL_TAKEN,
  PROBE_UNHEALTHY,
} from "../../src/pool/counters.ts";
import type { Pool } from "../../src/pool/pool.ts";
import { backendConfig, newPool } from "../_support/pools.ts";

/** `a` and `b` are ordinary and take one request each, `x` and `y` are backups. */
function mixedPool(): Pool {
  return newPool([
    backendConfig("x", { backup: true }),
    backendConfig("a", { maxInFlight: 1 }),
    backendConfig("b", { maxInFlight: 1 }),
    backendConfig("y", { backup: true, maxInFlight: 1 }),
  ]);
}

const [X, A, B, Y] = [0, 1, 2, 3];

function triedOf(pool: Pool, ids: string): ReadonlySet<PoolBackend> {
  return new Set(pool.backends.filter(({ id }) => ids.includes(id)));
}

function select(pool: Pool, tried = ""): string {
  const { candidates, failOpen, none } = selectCandidates(pool, triedOf(pool, tried));
  return none ?? `${candidates.map(({ id }) => id).join("")}${failOpen ? " open" : ""}`;
}

describe("backups are no candidates", () => {
  test("while the others are available, and are not looked at", () => {
    const pool = mixedPool();
    expect(select(pool)).toBe("ab");
    pool.counters.setProbe(X, PROBE_UNHEALTHY);
    pool.counters.setDraining(Y, true);
    expect(selectCandidates(pool, new Set()).candidates).toBe(pool.primaries);
  });

  test("while one of the others is available", () => {
    const pool = mixedPool();
    pool.counters.setProbe(A, PROBE_UNHEALTHY);
    expect(select(pool)).toBe("b");
  });

  test("while one of the others may have a trial request, which one request makes", () => {
    const pool = mixedPool();
    pool.counters.setProbe(A, PROBE_UNHEALTHY);
    pool.counters.setEjection(B, EJECTION_TRIAL_OPEN, 0);
    expect(select(pool)).toBe("b");
    pool.counters.setEjection(B, EJECTION_TRIAL_TAKEN, 0);
    expect(select(pool)).toBe("xy");
  });
});

describe("backups are candidates", () => {
  const reasons: readonly (readonly [why: string, happen: (pool: Pool, row: number) => void])[] = [
    ["down", ({ counters }, row) => counters.setProbe(row, PROBE_UNHEALTHY)],
    ["ejected", ({ counters }, row) => counters.setEjection(row, EJECTION_ON, 1)],
    ["draining", ({ counters }, row) => counters.setDraining(row, true)],
    ["at their limit", ({ counters }, row) => void counters.addInFlight(row, 0, 1)],
  ];
  for (const [why, happen] of reasons) {
    test(`when all others are ${why}`, () => {
      const pool = mixedPool();
      happen(pool, A);
      expect(select(pool)).toBe("b");
      happen(pool, B);
      expect(select(pool)).toBe("xy");
    });
  }

  test("when all others were tried for this request", () => {
    expect(select(mixedPool(), "ab")).toBe("xy");
    expect(select(mixedPool(), "abx")).toBe("y");
    expect(select(mixedPool(), "abxy")).toBe("tried");
  });

  test("before those that are ejected are asked anyway, which the others are before backups", () => {
    const pool = mixedPool();
    for (const row of [A, B, X]) pool.counters.setEjection(row, EJECTION_ON, 1);
    expect(select(pool)).toBe("y");
    pool.counters.setEjection(Y, EJECTION_ON, 1);
    expect(select(pool)).toBe("ab open");
  });
});

test("a backup that is not needed says so, one that could not serve says why", () => {
  const pool = mixedPool();
  const why = (row: number): string =>
    exclusionOf(pool, pool.backends[row] as PoolBackend, new Set(), false);
  expect([why(X), why(Y)]).toEqual(["backup", "backup"]);
  pool.counters.addInFlight(Y, 0, 1);
  pool.counters.setProbe(X, PROBE_UNHEALTHY);
  expect([why(X), why(Y)]).toEqual(["down", "full"]);
});

test("in every state: a backup is a candidate exactly when nobody else can be", () => {
  const state = fc.constantFrom("fine", "down", "ejected", "draining", "full", "tried");
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), state), { minLength: 1, maxLength: 8 }), (all) => {
      // At least one that is none, as the config has it.
      const made = all.map(([backup], index) => ({ backup: backup && index > 0, index }));
      const pool = newPool(
        made.map(({ backup, index }) => backendConfig(`${index}`, { backup, maxInFlight: 1 })),
      );
      const { counters } = pool;
      for (const [row, [, how]] of all.entries()) {
        if (how === "down") counters.setProbe(row, PROBE_UNHEALTHY);
        if (how === "ejected") counters.setEjection(row, EJECTION_ON, 1);
        if (how === "draining") counters.setDraining(row, true);
        if (how === "full") counters.addInFlight(row, 0, 1);
      }
      const tried = new Set(pool.backends.filter((_, row) => all[row]?.[1] === "tried"));
      const { candidates, failOpen } = selectCandidates(pool, tried);
      if (failOpen) return;
      const fine = pool.backends.filter((_, row) => all[row]?.[1] === "fine");
      const primaries = fine.filter((backend) => pool.primaries.includes(backend));
      expect(candidates).toEqual(primaries.length > 0 ? primaries : fine);
    }),
    { seed: 20_261_122, numRuns: 1000 },
  );
});
