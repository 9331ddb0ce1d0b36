/** `leastwise/testing`: what the tests of strategies are written with. */
import { describe, expect, test } from "bun:test";
import leastConnections from "../plugins/least-connections.ts";
import type { Attempt, AttemptEnd, AttemptHead, StrategyPlugin } from "../src/plugin.ts";
import * as testing from "../src/testing.ts";
import type * as declared from "../src/testing-api.ts";

const { complete, fakeBackends, fakeClock, rehearse, seededRandom } =
  testing as unknown as typeof declared;

interface Recorded {
  readonly plugin: StrategyPlugin<unknown>;
  readonly heard: unknown[];
}

/** Takes the first, and writes down what it is told. */
function recorder(): Recorded {
  const heard: unknown[] = [];
  const plugin: StrategyPlugin<unknown> = {
    name: "recorder",
    apiVersion: 1,
    parseOptions: (raw) => raw,
    create: (env) => ({
      pick: (candidates) => candidates[0],
      onPoolChange: (backends) => void heard.push(["pool", backends.map(({ id }) => id)]),
      onHealthChange: ({ id }, from, to) => void heard.push(["health", id, from, to]),
      onStart: ({ backend, startedAt }: Attempt) =>
        void heard.push(["start", backend.id, startedAt, backend.inFlight]),
      onResponse: (_: Attempt, { status, firstByteMs, headers, upgraded }: AttemptHead) =>
        void heard.push(["response", status, firstByteMs, headers.get("Retry-After"), upgraded]),
      onEnd: ({ backend }: Attempt, end: AttemptEnd) =>
        void heard.push(["end", end, backend.inFlight]),
      snapshot: () => ({ previous: env.previous ?? null, options: env.options ?? null }),
      dispose: () => void heard.push(["dispose"]),
    }),
  };
  return { plugin, heard };
}

describe("fakeBackends", () => {
  test("makes as many as are asked for, all equal", () => {
    const [one, other] = fakeBackends(2);
    expect([one.id, other.id, one.weight, one.health, one.inFlight]).toEqual([
      "backend-1",
      "backend-2",
      1,
      "unknown",
      0,
    ]);
  });

  test("makes one for each description", () => {
    const [near, far] = fakeBackends([
      { labels: { zone: "a" }, weight: 2 },
      { id: "far", url: "http://far:81", inFlight: 5, health: "healthy", draining: true },
    ]);
    expect([near.id, near.labels["zone"], near.weight]).toEqual(["backend-1", "a", 2]);
    const { id, url, inFlight, health, draining } = far;
    expect({ id, url, inFlight, health, draining }).toEqual({
      id: "far",
      url: "http://far:81",
      inFlight: 5,
      health: "healthy",
      draining: true,
    });
  });

  test("are as closed to a strategy as real ones", () => {
    const [backend] = fakeBackends(1) as unknown as [
      { id: string; inFlight: number; mark?: number; labels: { zone?: string } },
    ];
    expect(() => (backend.id = "b")).toThrow(TypeError);
    expect(() => (backend.mark = 1)).toThrow(TypeError);
    expect(() => backend.inFlight++).toThrow(TypeError);
    expect(() => (backend.labels.zone = "b")).toThrow(TypeError);
  });
});

describe("the clock", () => {
  test("stands until it is advanced", () => {
    const clock = fakeClock(5);
    clock.advance(10);
    expect(clock.now()).toBe(15);
    expect(() => clock.advance(-1)).toThrow("advance was given -1, allowed milliseconds from 0 up");
  });

  test("may be shared by two rehearsals", () => {
    const clock = fakeClock();
    const [one, other] = [recorder(), recorder()];
    const pools = [one, other].map(({ plugin }) => rehearse(plugin, { backends: 1, clock }));
    pools[0]?.clock.advance(7);
    pools[1]?.send();
    expect(other.heard.at(-1)).toEqual(["start", "backend-1", 7, 1]);
  });
});

test("the same seed gives the same numbers and the same picks", () => {
  const numbers = (seed: number) => Array.from({ length: 3 }, seededRandom(seed));
  expect(numbers(4)).toEqual(numbers(4));
  expect(numbers(4)).not.toEqual(numbers(5));
  const picks = (seed: number) => {
    const pool = rehearse(leastConnections, { backends: 5, seed });
    return Array.from({ length: 5 }, () => pool.send().backend.id);
  };
  expect(picks(1)).toEqual(picks(1));
  const different = new Set(Array.from({ length: 20 }, (_, seed) => picks(seed).join()));
  expect(different.size).toBeGreaterThan(5);
});

describe("a request", () => {
  test("is in flight until it is completed, and the strategy hears it all", () => {
    const { plugin, heard } = recorder();
    const pool = rehearse(plugin, { backends: 1 });
    const attempt = pool.send({ path: "/a" });
    expect(attempt.request.path).toBe("/a");
    complete(attempt, {
      status: 503,
      afterMs: 40,
      firstByteMs: 10,
      headers: { "retry-after": "3" },
    });
    const end = { outcome: "ok", status: 503, firstByteMs: 10, durationMs: 40 };
    expect(heard).toEqual([
      ["pool", ["backend-1"]],
      ["start", "backend-1", 0, 1],
      ["response", 503, 10, "3", false],
      ["end", end, 0],
    ]);
  });

  test("that fails to connect has no response", () => {
    const { plugin, heard } = recorder();
    complete(rehearse(plugin, { backends: 1 }).send(), { outcome: "connect" });
    const end = { outcome: "connect", status: null, firstByteMs: null, durationMs: 0 };
    expect(heard.slice(2)).toEqual([["end", end, 0]]);
  });

  test("that became a tunnel says so", () => {
    const { plugin, heard } = recorder();
    complete(rehearse(plugin, { backends: 1 }).send(), { status: 101, upgraded: true });
    expect(heard[2]).toEqual(["response", 101, 0, null, true]);
  });

  test("ends once", () => {
    const attempt = rehearse(leastConnections).send();
    complete(attempt);
    expect(() => complete(attempt)).toThrow("is not running");
    expect(() => complete({ ...attempt })).toThrow("neither send nor start returned");
  });

  test("goes to nobody who is unhealthy, draining or left out", () => {
    const backends = fakeBackends([{ health: "unhealthy" }, { draining: true }, {}, {}]);
    const pool = rehearse(leastConnections, { backends });
    const found = new Set(
      Array.from({ length: 8 }, () => pool.pick({}, { without: ["backend-4"] })?.id),
    );
    expect([...found]).toEqual(["backend-3"]);
    const out = { without: ["backend-3", "backend-4"] };
    expect(() => pool.pick({}, out)).toThrow("no backend is available");
  });

  test("that something else placed is in flight, too", () => {
    const [one, other] = fakeBackends(2);
    const pool = rehearse(leastConnections, { backends: [one, other] });
    pool.start(one);
    expect(pool.pick()).toBe(other);
  });
});

describe("a pool", () => {
  test("changes while it is at work", () => {
    const { plugin, heard } = recorder();
    const [one, other] = fakeBackends(2);
    const pool = rehearse(plugin, { backends: [one] });
    pool.change(one, { health: "unhealthy", weight: 3 });
    expect(one.weight).toBe(3);
    pool.change(one, { health: "unhealthy" });
    pool.setBackends([one, other]);
    expect(pool.backends).toEqual([one, other]);
    expect(heard.slice(1)).toEqual([
      ["health", "backend-1", "unknown", "unhealthy"],
      ["pool", ["backend-1", "backend-2"]],
    ]);
    expect(pool.pick()).toBe(other);
  });

  test("hands on what the instance before left, and its options", () => {
    const { plugin, heard } = recorder();
    const pool = rehearse(plugin, { previous: { seen: 1 }, options: { zone: "a" } });
    expect(pool.snapshot()).toEqual({ previous: { seen: 1 }, options: { zone: "a" } });
    const attempt = pool.send();
    pool.dispose();
    expect(heard).not.toContainEqual(["dispose"]);
    complete(attempt);
    expect(heard.at(-1)).toEqual(["dispose"]);
  });

  test("refuses backends of somebody else's", () => {
    const [backend] = fakeBackends(1);
    const alien = { ...backend, weight: 1 } as typeof backend;
    expect(() => rehearse(leastConnections, { backends: [alien] })).toThrow(
      "a backend is none of fakeBackends()",
    );
  });
});

describe("a fault of the strategy is thrown where it happens", () => {
  const faulty = (strategy: object): StrategyPlugin<unknown> => ({
    name: "faulty",
    apiVersion: 1,
    create: () => ({ score: () => 1, ...strategy }),
  });

  test("by a pick", () => {
    const pool = rehearse(faulty({ pick: () => undefined }));
    expect(() => pool.send()).toThrow("pick returned undefined");
  });

  test("by a hook", () => {
    const onEnd = (): void => {
      throw new Error("boom");
    };
    const attempt = rehearse(faulty({ onEnd })).send();
    expect(() => complete(attempt)).toThrow("onEnd threw: boom");
  });

  test("by the first news of the pool", () => {
    const onPoolChange = (): void => {
      throw new Error("boom");
    };
    expect(() => rehearse(faulty({ onPoolChange }))).toThrow("onPoolChange threw: boom");
  });

  test("and a request that is refused has no attempt", () => {
    const pool = rehearse(faulty({ pick: () => null }));
    expect(pool.pick()).toBe(null);
    expect(() => pool.send()).toThrow("the strategy refused the request");
  });
});
