import { describe, expect, test } from "bun:test";
import type { Backend, Strategy, StrategyPlugin } from "../../../src/plugin.ts";
import { builtIns, findBuiltIn } from "../../../src/strategy/built-in.ts";
import { StrategyHost } from "../../../src/strategy/host.ts";
import { createRandom } from "../../../src/strategy/random.ts";
import { orderOf, placesOf } from "../../../src/strategy/shadow/candidate-mask.ts";
import type { EndFact, Fact, PickFact } from "../../../src/strategy/shadow/facts.ts";
import { Projection } from "../../../src/strategy/shadow/projection.ts";
import { RecordedLog } from "../../_support/recorded-log.ts";

const specs = (...ids: string[]) =>
  ids.map((id) => ({
    id,
    url: `http://${id}`,
    weight: 1,
    labels: {},
    health: "healthy" as const,
    draining: false,
  }));

function project(plugin: StrategyPlugin<unknown>, ids = ["a", "b", "c"]): Projection {
  let ns = 0;
  return new Projection({
    backends: specs(...ids),
    startMs: 0,
    nowNs: () => (ns += 500),
    pickBoundsMs: [0.0001, 0.001],
    createHost: (backends, now) =>
      new StrategyHost({
        plugin,
        version: "1",
        options: undefined,
        pool: "web",
        backends,
        now,
        random: createRandom(7),
        log: new RecordedLog(),
        previous: null,
      }),
  });
}

function strategy(methods: Strategy): StrategyPlugin<unknown> {
  return { name: "candidate", apiVersion: 1, create: () => methods };
}

const request = {
  method: "GET",
  path: "/a",
  query: "x=1",
  host: "h.test",
  clientAddress: "192.0.2.1",
  fields: ["X-Key", "1", "Cookie", "a=1", "cookie", "b=2"],
};

function pick(id: number, chosen: string, change: Partial<PickFact> = {}): PickFact {
  return {
    kind: "pick",
    id,
    pool: "web",
    seen: id,
    attempt: 1,
    failOpen: false,
    candidates: null,
    chosen,
    affinity: false,
    request,
    ...change,
  };
}

/** Of the pool that these tests begin with. */
function only(...ids: string[]): Pick<PickFact, "candidates"> {
  const all = specs("a", "b", "c");
  const some = all.filter(({ id }) => ids.includes(id));
  return { candidates: { order: orderOf(all), places: placesOf(all, some) } };
}

function end(id: number, change: Partial<EndFact> = {}): EndFact {
  return {
    kind: "end",
    id,
    outcome: "ok",
    status: 200,
    firstByteMs: 5,
    durationMs: 10,
    ...change,
  };
}

const LEAST_BY_NAME = strategy({
  pick: (candidates) =>
    [...candidates].sort((a, b) => a.inFlight - b.inFlight || (a.id < b.id ? -1 : 1))[0] ?? null,
});

/** Seeded traffic of two workers that overlaps, with every way of ending. Places as `choose` says. */
function traffic(
  seed: number,
  count: number,
  choose: (inFlight: Map<string, number>, ids: readonly string[]) => string,
): { readonly source: number; readonly atMs: number; readonly fact: Fact }[] {
  const random = createRandom(seed);
  const ids = ["a", "b", "c"];
  const inFlight = new Map(ids.map((id) => [id, 0]));
  const outcomes = ["ok", "ok", "ok", "reset", "timeout", "client_gone", "truncated"] as const;
  const facts: { source: number; atMs: number; fact: Fact }[] = [];
  const due: { atMs: number; source: number; id: number; chosen: string; startMs: number }[] = [];
  let nowMs = 0;
  const finish = (untilMs: number): void => {
    due.sort((one, two) => one.atMs - two.atMs);
    while (due[0] !== undefined && due[0].atMs <= untilMs) {
      const { atMs, source, id, chosen, startMs } = due.shift() as (typeof due)[number];
      inFlight.set(chosen, (inFlight.get(chosen) ?? 0) - 1);
      const outcome = outcomes[Math.floor(random() * outcomes.length)] ?? "ok";
      const status = outcome === "ok" ? (random() < 0.1 ? 503 : 200) : null;
      const durationMs = atMs - startMs;
      const firstByteMs = status === null ? null : durationMs;
      if (status !== null) {
        const head = { status, firstByteMs: durationMs, upgraded: false, fields: [] };
        facts.push({ source, atMs, fact: { kind: "head", id, ...head } });
      }
      facts.push({ source, atMs, fact: end(id, { outcome, status, firstByteMs, durationMs }) });
    }
  };
  for (let id = 1; id <= count; id++) {
    nowMs += random() * 4;
    finish(nowMs);
    const source = id % 2;
    const some = random() < 0.2 ? ids.filter(() => random() < 0.6) : ids;
    const candidates = some.length === 0 ? ids : some;
    const chosen = choose(inFlight, candidates);
    inFlight.set(chosen, (inFlight.get(chosen) ?? 0) + 1);
    facts.push({ source, atMs: nowMs, fact: pick(id, chosen, only(...candidates)) });
    due.push({ atMs: nowMs + random() * 40, source, id, chosen, startMs: nowMs });
  }
  finish(Number.POSITIVE_INFINITY);
  return facts;
}

const leastByName = (inFlight: Map<string, number>, ids: readonly string[]): string =>
  [...ids].sort(
    (a, b) => (inFlight.get(a) ?? 0) - (inFlight.get(b) ?? 0) || (a < b ? -1 : 1),
  )[0] as string;

describe("over seeded traffic of two workers", () => {
  test.each(builtIns.filter(({ name }) => name !== "consistent-hash").map(({ name }) => name))(
    "%s has nothing in flight at the end, and its requests are as many as it was shown",
    (name) => {
      const projection = project(findBuiltIn(name) as StrategyPlugin<unknown>);
      for (const { source, atMs, fact } of traffic(11, 3000, leastByName)) {
        projection.apply(source, fact, atMs);
      }
      const { picks, agreed, refused, faults, backends, pickMs } = projection.figures();
      expect({ picks, refused, faults, running: projection.running }).toEqual({
        picks: 3000,
        refused: 0,
        faults: 0,
        running: 0,
      });
      for (const side of ["shadow", "acting"] as const) {
        const requests = backends.map((backend) => backend[side].requests);
        expect(requests.reduce((sum, each) => sum + each, 0)).toBe(3000);
        const shares = backends.map((backend) => backend[side].share ?? 0);
        expect(shares.reduce((sum, each) => sum + each, 0)).toBeCloseTo(1, 10);
        for (const backend of backends) {
          const { now, mean, max } = backend[side].inFlight;
          expect(now).toBe(0);
          expect(mean).toBeGreaterThan(0);
          expect(max).toBeGreaterThan(mean);
        }
      }
      expect(agreed).toBeGreaterThan(0);
      expect(agreed).toBeLessThanOrEqual(3000);
      expect(pickMs?.sum).toBeCloseTo(1.5);
      expect(pickMs?.buckets).toEqual([0, 3000, 0]);
    },
  );

  test("the strategy that acts agrees with itself every time, and sees what it saw", () => {
    const projection = project(LEAST_BY_NAME);
    for (const { source, atMs, fact } of traffic(5, 3000, leastByName)) {
      projection.apply(source, fact, atMs);
    }
    const { picks, agreed, agreement, backends } = projection.figures();
    expect({ picks, agreed, agreement }).toEqual({ picks: 3000, agreed: 3000, agreement: 1 });
    for (const { shadow, acting } of backends) expect(shadow).toEqual(acting);
  });

  test("another one agrees less, and has its own number in flight", () => {
    const projection = project(LEAST_BY_NAME);
    for (const { source, atMs, fact } of traffic(5, 3000, (_, ids) => ids[0] as string)) {
      projection.apply(source, fact, atMs);
    }
    const { picks, agreed, backends } = projection.figures();
    expect(picks).toBe(3000);
    expect(agreed).toBeLessThan(2000);
    const [a] = backends;
    expect(a?.shadow.inFlight.max).toBeLessThan(a?.acting.inFlight.max ?? 0);
    expect(a?.shadow.requests).toBeLessThan(a?.acting.requests ?? 0);
  });
});

test("the average in flight is over the time, at the backend where the shadow would have sent it", () => {
  const projection = project(strategy({ pick: (candidates) => candidates[1] ?? null }));
  projection.apply(0, pick(1, "a"), 0);
  projection.apply(0, pick(2, "a"), 50);
  projection.apply(0, end(1), 100);
  projection.apply(0, end(2), 200);
  projection.apply(0, pick(3, "a"), 200);
  projection.apply(0, end(3), 200);
  const [a, b] = projection.figures().backends;
  // 50 ms of one, 50 ms of two, 100 ms of one, of 200 ms.
  const all = { requests: 3, share: 1, inFlight: { now: 0, mean: 1.25, max: 2 } };
  const none = { requests: 0, share: 0, inFlight: { now: 0, mean: 0, max: 0 } };
  expect([b?.shadow, b?.acting]).toEqual([all, none]);
  expect([a?.shadow, a?.acting]).toEqual([none, all]);
});

describe("what the strategy is told", () => {
  function told(plan: readonly (readonly [fact: Fact, atMs: number])[], picked = 1): unknown[] {
    const calls: unknown[] = [];
    const projection = project(
      strategy({
        pick: (candidates) => candidates[picked] ?? null,
        onStart: ({ backend, startedAt, number, request: { headers } }) =>
          void calls.push(["start", backend.id, startedAt, number, headers.get("cookie")]),
        onResponse: ({ backend }, { status, headers, upgraded }) =>
          void calls.push(["response", backend.id, status, headers.get("x-load"), upgraded]),
        onEnd: ({ backend }, { outcome, status, durationMs }) =>
          void calls.push(["end", backend.id, outcome, status, durationMs, backend.inFlight]),
      }),
    );
    for (const [fact, atMs] of plan) projection.apply(0, fact, atMs);
    return calls;
  }
  const head = {
    kind: "head",
    id: 1,
    status: 200,
    firstByteMs: 5,
    upgraded: false,
    fields: ["X-Load", "3"],
  } as const;

  test("is the request's course at the backend of its own choice", () => {
    expect(
      told([
        [pick(1, "a", { attempt: 2 }), 3],
        [head, 8],
        [end(1), 13],
      ]),
    ).toEqual([
      ["start", "b", 3, 2, "a=1; b=2"],
      ["response", "b", 200, "3", false],
      ["end", "b", "ok", 200, 10, 0],
    ]);
  });

  test("is not the failure of another backend", () => {
    const failures: readonly (readonly [forMs: number, ...(readonly [Fact, number])[]])[] = [
      [10, [end(1, { outcome: "connect", status: null, firstByteMs: null }), 9]],
      // Until the head came.
      [5, [{ ...head, status: 503 }, 8], [end(1, { status: 503 }), 9]],
    ];
    for (const [forMs, ...failure] of failures) {
      expect(told([[pick(1, "a"), 3], ...failure])).toEqual([
        ["start", "b", 3, 1, "a=1; b=2"],
        ["end", "b", "client_gone", null, forMs, 0],
      ]);
    }
  });

  test("is not that another backend broke off, and still that the head has been told", () => {
    expect(
      told([
        [pick(1, "a"), 3],
        [head, 8],
        [end(1, { outcome: "truncated" }), 9],
      ]).slice(1),
    ).toEqual([
      ["response", "b", 200, "3", false],
      ["end", "b", "client_gone", 200, 10, 0],
    ]);
  });

  test("is not that another backend limits requests, or asks to be left alone", () => {
    const retryAfter = ["Retry-After", "300"];
    const answers: readonly (readonly [status: number, fields: readonly string[]])[] = [
      [429, []],
      [429, retryAfter],
      [200, retryAfter],
      [301, retryAfter],
    ];
    for (const [status, fields] of answers) {
      expect(
        told([
          [pick(1, "a"), 3],
          [{ ...head, status, fields }, 8],
          [end(1, { status }), 9],
        ]),
      ).toEqual([
        ["start", "b", 3, 1, "a=1; b=2"],
        // Until the head came, and not for as long as its body took: nobody was silent then.
        ["end", "b", "client_gone", null, head.firstByteMs, 0],
      ]);
    }
  });

  for (const status of [503, 429]) {
    test(`is a ${status} of the backend that it picked, too`, () => {
      const calls = told([
        [pick(1, "b"), 3],
        [{ ...head, status, fields: [...head.fields, "Retry-After", "300"] }, 8],
        [end(1, { status }), 9],
      ]);
      expect(calls.slice(1)).toEqual([
        ["response", "b", status, "3", false],
        ["end", "b", "ok", status, 10, 0],
      ]);
    });
  }

  test("is nothing of a request that it refused, or that began before it", () => {
    expect(
      told(
        [
          [pick(1, "a"), 1],
          [head, 2],
          [end(1), 3],
          [end(99), 4],
        ],
        7,
      ),
    ).toEqual([]);
  });

  test("is a clock that never goes back, whatever the workers' do", () => {
    const calls = told([
      [pick(1, "a"), 100],
      [pick(2, "a"), 90],
    ]);
    expect(calls.map((call) => (call as unknown[])[2])).toEqual([100, 100]);
  });

  test("is the end of everything that a worker had when it is gone, and of nobody else's", () => {
    const calls: unknown[] = [];
    const projection = project(
      strategy({
        score: ({ inFlight }) => inFlight,
        onEnd: (_, { outcome, durationMs }) => void calls.push([outcome, durationMs]),
      }),
    );
    projection.apply(0, pick(1, "a"), 0);
    projection.apply(1, pick(1, "a"), 10);
    projection.apply(0, pick(2, "a"), 30);
    projection.abandon(0);
    expect(calls).toEqual([
      ["client_gone", 30],
      ["client_gone", 0],
    ]);
    expect(projection.running).toBe(1);
    projection.apply(1, end(1), 40);
    const { backends } = projection.figures();
    for (const { shadow, acting } of backends) {
      expect([shadow.inFlight.now, acting.inFlight.now]).toEqual([0, 0]);
    }
  });
});

describe("a request that a session has placed", () => {
  test("is at that backend for a strategy that was not asked, and is no agreement", () => {
    const asked: number[][] = [];
    const calls: unknown[] = [];
    const projection = project(
      strategy({
        pick(candidates) {
          asked.push(candidates.map(({ inFlight }) => inFlight));
          return candidates[0];
        },
        onStart: ({ backend: { id, inFlight } }) => void calls.push(["start", id, inFlight]),
        onResponse: ({ backend: { id } }, { status }) => void calls.push(["response", id, status]),
        onEnd: ({ backend: { id, inFlight } }, { outcome, status }) =>
          void calls.push(["end", id, inFlight, outcome, status]),
      }),
    );
    const head = { status: 502, firstByteMs: 5, upgraded: false, fields: [] };
    projection.apply(0, pick(1, "b", { affinity: true }), 0);
    projection.apply(0, pick(2, "b", { affinity: true }), 0);
    projection.apply(0, pick(3, "a"), 10);
    projection.apply(0, { kind: "head", id: 1, ...head }, 20);
    projection.apply(0, end(1, { status: 502 }), 30);
    const { picks, agreed, agreement, pickMs, backends } = projection.figures();
    expect(asked).toEqual([[0, 2, 0]]);
    expect({ picks, agreed, agreement }).toEqual({ picks: 1, agreed: 1, agreement: 1 });
    expect(pickMs?.buckets).toEqual([0, 1, 0]);
    const [, b] = backends;
    expect(b?.shadow).toMatchObject({ requests: 2, share: 2 / 3, inFlight: { now: 1, max: 2 } });
    expect(b?.acting).toEqual(b?.shadow as NonNullable<typeof b>["shadow"]);
    // Failures of that backend are no other's.
    expect(calls).toEqual([
      ["start", "b", 1],
      ["start", "b", 2],
      ["start", "a", 1],
      ["response", "b", 502],
      ["end", "b", 1, "ok", 502],
    ]);
  });

  test("is nothing when that backend is gone", () => {
    const calls: string[] = [];
    const projection = project(
      strategy({
        pick: () => null,
        onStart: ({ backend }) => void calls.push(backend.id),
        onEnd: ({ backend }) => void calls.push(backend.id),
      }),
    );
    projection.apply(0, pick(1, "x", { affinity: true }), 0);
    projection.apply(0, end(1), 1);
    const { picks, refused } = projection.figures();
    expect({ picks, refused, calls }).toEqual({ picks: 0, refused: 0, calls: [] });
  });
});

describe("a pool that changes", () => {
  test("keeps the figures and the object of a backend that stays, and ends what ran on one that goes", () => {
    const seen = new Set<object>();
    const projection = project(
      strategy({
        pick: (candidates) => {
          for (const each of candidates) seen.add(each);
          return candidates[0];
        },
      }),
    );
    projection.apply(0, pick(1, "a"), 0);
    projection.apply(0, pick(2, "b", only("b")), 0);
    projection.setBackends(specs("b", "d"));
    projection.apply(0, pick(3, "b"), 10);
    for (const id of [1, 2, 3]) projection.apply(0, end(id), 20);
    const { backends, picks } = projection.figures();
    expect(picks).toBe(3);
    expect(backends.map(({ id, shadow }) => [id, shadow.requests, shadow.inFlight.now])).toEqual([
      ["b", 2, 0],
      ["d", 0, 0],
    ]);
    // a, b and c at first, and then only d is new.
    expect(seen.size).toBe(4);
  });

  test("shows health and draining as they are, and tells of health", () => {
    const told: unknown[] = [];
    let pool: readonly Backend[] = [];
    const projection = project(
      strategy({
        score: () => 0,
        onPoolChange: (backends) => void (pool = backends),
        onHealthChange: ({ id, health }, from, to) => void told.push([id, health, from, to]),
      }),
    );
    projection.setHealth("a", "unhealthy");
    projection.setHealth("a", "unhealthy");
    projection.setHealth("nobody", "healthy");
    projection.setDraining("b", true);
    projection.setDraining("nobody", true);
    expect(pool.map(({ id, draining }) => [id, draining])).toEqual([
      ["a", false],
      ["b", true],
      ["c", false],
    ]);
    expect(told).toEqual([["a", "unhealthy", "healthy", "unhealthy"]]);
  });

  test("asks nothing about candidates of a list that is not its own, before and after a reload, but sees the load", () => {
    const asked: string[] = [];
    const projection = project(
      strategy({
        pick(candidates) {
          asked.push(candidates.map(({ id, inFlight }) => id + inFlight).join());
          return candidates[0];
        },
      }),
    );
    const [before, after] = [specs("a", "b", "c"), specs("c", "d", "b")];
    const among = (list: typeof before, ...places: number[]) => {
      const some = list.filter((_, place) => places.includes(place));
      return { candidates: { order: orderOf(list), places: placesOf(list, some) } };
    };
    projection.apply(0, pick(1, "b", among(before, 0, 1)), 0);
    projection.apply(0, pick(2, "b", among(after, 1, 2)), 1);
    projection.apply(0, pick(3, "d", among(after, 0, 1)), 2);
    projection.apply(0, pick(4, "c", among(before, 1, 2)), 3);
    expect(asked).toEqual(["a0,b0", "b1,c0"]);
    projection.setBackends(after);
    projection.apply(0, pick(5, "b", among(before, 0, 1)), 4);
    projection.apply(0, pick(6, "b", among(after, 1, 2)), 5);
    expect(asked.slice(2)).toEqual(["d0,b3"]);
    for (let id = 1; id <= 6; id++) projection.apply(0, end(id), 6);
    const { picks, backends } = projection.figures();
    expect(picks).toBe(3);
    for (const { shadow, acting } of backends) {
      expect([shadow.inFlight.now, acting.inFlight.now]).toEqual([0, 0]);
    }
  });
});

test("before the first request there are no shares, and no times", () => {
  const { agreement, pickMs, backends } = project(LEAST_BY_NAME).figures();
  expect({ agreement, pickMs }).toEqual({ agreement: null, pickMs: null });
  expect(backends.map(({ shadow }) => shadow.share)).toEqual([null, null, null]);
});

test("what throws is answered by least connections, and is no agreement", () => {
  const projection = project(
    strategy({
      pick: () => {
        throw new Error("no");
      },
    }),
  );
  for (let id = 1; id <= 12; id++) projection.apply(0, pick(id, "a"), id);
  const { picks, agreed, fallbacks, faults } = projection.figures();
  expect({ picks, agreed, fallbacks, faults }).toEqual({
    picks: 12,
    agreed: 0,
    fallbacks: 12,
    faults: 10,
  });
  expect(projection.host.quarantined).toBe(true);
});
