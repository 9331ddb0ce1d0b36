import { beforeEach, describe, expect, test } from "bun:test";
import type { Decision } from "../../src/balance/decision.ts";
import type { Placement } from "../../src/balance/placement.ts";
import type { Pool } from "../../src/pool/pool.ts";
import { DecisionLog, SAMPLED_PER_SECOND } from "../../src/process/decision-log.ts";
import { fakeRequest } from "../../src/strategy/fake-request.ts";
import { backendConfig, newPool } from "../_support/pools.ts";

let log: DecisionLog;
let now: number;

beforeEach(() => {
  now = 1_700_000_000_000;
  log = new DecisionLog({ worker: 1, wallClock: () => now++ });
});

function poolOf(size: number): Pool {
  return newPool(Array.from({ length: size }, (_, index) => backendConfig(`b${index}`)));
}

/** A request of the pool, sent to the backend at that place. */
function take(
  pool: Pool,
  chosen: number,
  change: Partial<Decision> & { readonly traceId?: string } = {},
): void {
  const { traceId = null, ...rest } = change;
  const backend = pool.backends[chosen]!;
  const decision: Decision = {
    candidates: pool.backends.map(({ id, inFlight }) => ({ id, inFlight, score: null })),
    excluded: [],
    tie: false,
    failOpen: false,
    ejected: 0,
    ...rest,
  };
  // The log must hold on to no lease.
  const admission = null as unknown as Placement["admission"];
  const placed = {
    backend,
    admission,
    candidates: [backend],
    failOpen: false,
    fallback: false,
    affinity: false,
    pickMs: 0,
    decision,
    notes: null,
  };
  const read = new Map([["cookie", "a=b"]]);
  const strategy = { name: "mine", version: "1" };
  log.of("web").take({ pool, strategy, request: fakeRequest(), read, placed, attempt: 1, traceId });
}

const ALL = { pool: null, traceId: null, limit: 1000 };

describe("a worker's log of decisions", () => {
  test("tells what a session decided from what the strategy picked", () => {
    const pool = poolOf(2);
    take(pool, 0);
    take(pool, 1, { affinity: true });
    expect(log.read(ALL).map(({ decidedBy }) => decidedBy)).toEqual(["affinity", "pick"]);
  });

  test("wants a few each second, whoever else wants some", () => {
    const pool = poolOf(2);
    const wanted = (): number => {
      let count = 0;
      for (; log.of("web").due && count < 100; count++) take(pool, 0);
      return count;
    };
    expect(wanted()).toBe(SAMPLED_PER_SECOND);
    take(pool, 0, { traceId: "a" });
    expect(wanted()).toBe(0);
    log.tick();
    take(pool, 0, { traceId: "a" });
    expect(wanted()).toBe(SAMPLED_PER_SECOND - 1);
    expect(log.of("api").due).toBe(true);
  });

  test("keeps the last 256 of each pool", () => {
    const pool = poolOf(2);
    for (let i = 0; i < 300; i++) take(pool, i % 2, { traceId: String(i) });
    const kept = log.read(ALL);
    expect(kept).toHaveLength(256);
    expect(kept[0]).toMatchObject({ traceId: "299", chosen: "b1", worker: 1, pool: "web" });
    expect(kept.at(-1)).toMatchObject({ traceId: "44" });
    expect(log.read({ ...ALL, traceId: "299" })).toEqual(kept.slice(0, 1));
    expect(log.read({ ...ALL, traceId: "7" })).toEqual([]);
    log.keep(new Set(["api"]));
    expect(log.read(ALL)).toEqual([]);
  });

  test("keeps no more of a large pool than it has room for, and always the chosen one", () => {
    const pool = poolOf(1000);
    for (let i = 0; i < 100; i++) take(pool, 999);
    const kept = log.read(ALL);
    expect(kept).toHaveLength(8192 / 256);
    for (const { candidates, leftOut, chosen } of kept) {
      expect(candidates).toHaveLength(256);
      expect(chosen).toBe("b999");
      expect(candidates.at(-1)?.id).toBe("b999");
      expect(leftOut).toBe(744);
    }
  });

  test("keeps a refusal with those whom it refused, as many as there is room for", () => {
    const pool = poolOf(300);
    const candidates = pool.backends.map(({ id }) => ({ id, inFlight: 0, score: Infinity }));
    const excluded = [{ id: "out", reason: "down" }] as const;
    const decision = { candidates, excluded, tie: false, failOpen: false, ejected: 0 };
    log.of("web").take({
      pool,
      strategy: { name: "mine", version: "1" },
      request: fakeRequest(),
      read: new Map(),
      placed: { backend: null, fallback: false, pickMs: 0.5, decision },
      attempt: 2,
      traceId: "a",
    });
    const [kept] = log.read({ ...ALL, traceId: "a" });
    expect(kept).toMatchObject({ chosen: null, decidedBy: "score", attempt: 2, leftOut: 45 });
    expect(kept?.candidates).toHaveLength(256);
    expect(kept?.candidates[0]).toMatchObject({ id: "b0", score: "Infinity", weight: 1 });
  });

  test("counts exclusions among what it keeps of one", () => {
    const excluded = Array.from({ length: 300 }, (_, index) => {
      return { id: `x${index}`, reason: "down" } as const;
    });
    take(poolOf(2), 1, { excluded });
    expect(log.read(ALL)).toMatchObject([
      { leftOut: 46, candidates: [{ id: "b0" }, { id: "b1" }] },
    ]);
  });

  test("keeps no credential, and shows an Infinity that JSON can say", () => {
    const candidates = [
      { id: "b0", inFlight: 3, score: Infinity },
      { id: "b1", inFlight: 0, score: -1 },
    ];
    take(poolOf(2), 1, { candidates });
    const [decision] = log.read(ALL);
    expect(decision).toMatchObject({
      decidedBy: "score",
      candidates: [{ score: "Infinity" }, { score: -1 }],
      request: { withheld: ["cookie"] },
    });
    expect(decision?.request.headers).toEqual({});
  });
});
