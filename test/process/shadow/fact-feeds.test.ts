/** What a worker tells, and what a shadow makes of it: the two ends of one ring, in one process. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { NO_CALL_MARK } from "../../../src/pool/worker-pulse.ts";
import { openSharedMemory, type SharedMemory } from "../../../src/pool/shared-memory.ts";
import { FactFeeds } from "../../../src/process/shadow/fact-feeds.ts";
import { FactSource } from "../../../src/process/shadow/fact-source.ts";
import {
  createShadowMemory,
  ShadowMemory,
  type ShadowPlan,
} from "../../../src/process/shadow/shadow-memory.ts";
import { ShadowRunner } from "../../../src/process/shadow/shadow-runner.ts";
import { RequestFields } from "../../../src/proxy/request-fields.ts";
import type { ShadowedAttempt, ShadowFeed } from "../../../src/proxy/shadow-feed.ts";
import type { StrategyPlugin } from "../../../src/plugin.ts";
import type { ShadowFigures } from "../../../src/strategy/shadow/figures.ts";
import { fakeRequest } from "../../../src/strategy/fake-request.ts";
import { backendConfig, newPool } from "../../_support/pools.ts";
import { RecordedLog } from "../../_support/recorded-log.ts";

const END = { outcome: "ok", status: 200, firstByteMs: 1, durationMs: 2 } as const;
const HEAD = { status: 200, firstByteMs: 1, headers: fakeRequest().headers, upgraded: false };

let shared: SharedMemory;
let plan: ShadowPlan;
let memory: ShadowMemory;
let nowMs: number;
let nextId: number;

beforeEach(() => {
  const created = createShadowMemory(2);
  shared = created.memory;
  plan = created.plan;
  memory = new ShadowMemory(openSharedMemory(plan.handle));
  memory.listeners = 1;
  nowMs = 1000;
  nextId = 1;
});

afterEach(() => shared.close());

function feeds(column = 0): FactFeeds {
  return new FactFeeds({ column, now: () => nowMs, log: new RecordedLog() });
}

const { backends } = newPool(2);
const [a] = backends;

function begin(
  feed: ShadowFeed,
  lines: readonly string[] = ["Host", "x.test"],
  change: Partial<ShadowedAttempt> = {},
) {
  if (!feed.takes()) return null;
  return feed.attemptStarting({
    id: nextId++,
    number: 1,
    backend: a as NonNullable<typeof a>,
    affinity: false,
    backends,
    candidates: backends,
    failOpen: false,
    request: fakeRequest({ path: "/p" }),
    headers: new RequestFields(lines),
    ...change,
  });
}

describe("a worker", () => {
  test("tells a request's facts in their order, with all its fields", () => {
    const source = new FactSource(memory.ring(0), "web");
    const attempt = begin(feeds().feedOf("web", plan), ["Host", "x.test", "Cookie", "id=1"]);
    nowMs += 5;
    attempt?.responded(HEAD, [
      ["Retry-After", "3"],
      ["Set-Cookie", "secret"],
    ]);
    nowMs += 5;
    attempt?.ended(END);
    const { facts, lost } = source.read(5010);
    expect(lost).toBe(false);
    expect(facts.map(({ atMs, fact: { kind } }) => [kind, atMs])).toEqual([
      ["pick", 5000],
      ["head", 5005],
      ["end", 5010],
    ]);
    const [pick, head] = facts.map(({ fact }) => fact);
    expect(pick).toMatchObject({
      pool: "web",
      chosen: "a",
      request: { path: "/p", fields: ["Host", "x.test", "Cookie", "id=1"] },
    });
    // It is meant for the client alone.
    expect(head).toMatchObject({ fields: ["Retry-After", "3"] });
  });

  test("keeps to itself what a client proves itself with where the memory may reach a disk", () => {
    const source = new FactSource(memory.ring(0), "web");
    const fields = ["Authorization", "1", "Proxy-Authorization", "2", "Cookie", "3", "X-Key", "4"];
    begin(feeds().feedOf("web", { ...plan, onDisk: true }), fields);
    const [pick] = source.read(1).facts;
    expect(pick?.fact).toMatchObject({ request: { fields: ["X-Key", "4"] } });
  });

  test("tells nothing while no shadow is there", () => {
    memory.listeners = 0;
    const source = new FactSource(memory.ring(0), "web");
    const feed = feeds().feedOf("web", plan);
    expect(begin(feed)).toBeNull();
    expect(source.read(1).facts).toEqual([]);
    memory.listeners = 1;
    expect(begin(feed)).not.toBeNull();
  });

  test("tells of no more than a hundred at once and a thousand a second, over all pools", () => {
    const all = feeds();
    const pools = [all.feedOf("web", plan), all.feedOf("api", plan)];
    const count = (requests: number): number => {
      let told = 0;
      for (let i = 0; i < requests; i++) {
        if (begin(pools[i % 2] as ShadowFeed) !== null) told++;
      }
      return told;
    };
    expect(count(500)).toBe(100);
    nowMs += 30;
    expect(count(500)).toBe(30);
    nowMs += 60_000;
    expect(count(500)).toBe(100);
  });

  test("does not tell of a request whose head is very long", () => {
    const source = new FactSource(memory.ring(0), "web");
    const feed = feeds().feedOf("web", plan);
    begin(feed);
    expect(begin(feed, ["X-Long", "x".repeat(9000)])).toBeNull();
    begin(feed);
    expect(source.read(1).facts).toHaveLength(2);
    expect(source.dropped).toBe(1);
  });

  test("has the same feed for a pool through all plans, so that its requests count on", () => {
    const all = feeds();
    expect(all.feedOf("web", plan)).toBe(all.feedOf("web", plan));
  });
});

describe("a shadow that reads", () => {
  test("counts what it was not shown, pool by pool, through the end of a worker too", () => {
    const source = new FactSource(memory.ring(0), "web");
    const first = feeds();
    for (let i = 0; i < 150; i++) begin(first.feedOf("web", plan));
    nowMs += 100;
    begin(first.feedOf("api", plan));
    begin(first.feedOf("web", plan));
    source.read(1);
    expect(source.dropped).toBe(50);
    source.workerEnded();
    const next = feeds();
    begin(next.feedOf("web", plan));
    source.read(2);
    expect(source.dropped).toBe(50);
  });

  test("knows when the worker was too quick for it", () => {
    const source = new FactSource(memory.ring(0), "web");
    const feed = feeds().feedOf("web", plan);
    for (let i = 0; i < 200; i++) {
      nowMs += 100;
      begin(feed, ["X-Long", "x".repeat(7000)]);
    }
    expect(source.read(1)).toEqual({ facts: [], lost: true });
    nowMs += 100;
    begin(feed);
    expect(source.read(2)).toMatchObject({ lost: false });
  });
});

describe("a strategy in its process", () => {
  interface Stopped {
    readonly reason: string;
    readonly figures: ShadowFigures;
  }
  let stopped: Stopped[];
  let clockMs: number;
  let beats: number;

  function run(plugin: StrategyPlugin<unknown>, pool = backends): ShadowRunner {
    stopped = [];
    clockMs = 0;
    beats = 0;
    return new ShadowRunner({
      setup: {
        plan,
        slot: 0,
        columns: 2,
        pool: "web",
        index: 0,
        strategy: {
          module: { kind: "built-in", name: plugin.name },
          description: { name: plugin.name, version: "1", source: "built-in" },
        },
        options: undefined,
        backends: pool.map(({ id, url }) => ({
          id,
          url,
          weight: 1,
          labels: {},
          health: "unknown",
          draining: false,
        })),
        seed: 1,
      },
      plugin,
      rings: [memory.ring(0), memory.ring(1)],
      mark: NO_CALL_MARK,
      beat: () => void beats++,
      now: () => clockMs,
      nowNs: () => 0,
      log: new RecordedLog(),
      onStopped: (reason, figures) => void stopped.push({ reason, figures }),
    });
  }

  const plugin = (pick: () => number): StrategyPlugin<unknown> => ({
    name: "candidate",
    apiVersion: 1,
    create: () => ({ pick: (all) => all[pick()] ?? null }),
  });

  test("sees what both workers tell in the order of their times, whatever their clocks show", () => {
    const runner = run(plugin(() => 0));
    const [one, two] = [feeds(0).feedOf("web", plan), feeds(1).feedOf("web", plan)];
    const attempts = [begin(one)];
    nowMs += 1_000_000;
    attempts.push(begin(two));
    clockMs = 20;
    runner.tick();
    expect(runner.figures().backends[0]?.shadow.inFlight.max).toBe(2);
    for (const attempt of attempts) attempt?.ended(END);
    clockMs = 40;
    runner.tick();
    const figures = runner.figures();
    expect(figures).toMatchObject({ picks: 2, agreed: 2, agreement: 1, dropped: 0 });
    expect(figures.backends[0]?.shadow.inFlight.now).toBe(0);
    // Both clocks are taken to show the moment at which they were read.
    expect(figures.backends[0]?.shadow.inFlight.mean).toBeLessThan(2);
  });

  test("forgets what a worker had when that is gone, or when it has missed something", () => {
    const runner = run(plugin(() => 1));
    const feed = feeds(0).feedOf("web", plan);
    const inFlight = () => runner.figures().backends[1]?.shadow.inFlight.now;
    begin(feed);
    begin(feeds(1).feedOf("web", plan));
    runner.tick();
    expect(inFlight()).toBe(2);
    runner.receive({ type: "workerEnded", column: 1 });
    expect(inFlight()).toBe(1);
    for (let i = 0; i < 200; i++) {
      nowMs += 100;
      begin(feed, ["X-Long", "x".repeat(7000)]);
    }
    runner.tick();
    expect(inFlight()).toBe(0);
  });

  test("that is slow gives its process time to answer, and loses what it cannot keep up with", () => {
    const runner = run({
      name: "slow",
      apiVersion: 1,
      create: () => ({
        pick(all) {
          clockMs += 20;
          return all[0];
        },
      }),
    });
    const feed = feeds().feedOf("web", plan);
    for (let i = 0; i < 10; i++) begin(feed);
    runner.tick();
    expect(runner.figures().picks).toBe(3);
    expect(beats).toBe(3);
    for (let i = 0; i < 200; i++) {
      nowMs += 100;
      begin(feed, ["X-Long", "x".repeat(7000)]);
    }
    for (let i = 0; i < 5; i++) runner.tick();
    expect(runner.figures().picks).toBe(10);
    nowMs += 100;
    begin(feed);
    runner.tick();
    expect(runner.figures()).toMatchObject({ picks: 11, dropped: 200 });
    // News waits for what happened before it.
    for (let i = 0; i < 10; i++) begin(feed);
    runner.tick();
    for (let i = 0; i < 10; i++) begin(feed);
    runner.receive({ type: "draining", id: "b", draining: true });
    expect(runner.figures().picks).toBe(31);
  });

  test("sees which half of a thousand backends are candidates, and tells sessions from picks", () => {
    const ids = Array.from({ length: 1000 }, (_, index) => `http://backend-${index}.test:8080`);
    const large = newPool(ids.map((id) => backendConfig(id))).backends;
    const asked: string[][] = [];
    const runner = run(
      {
        name: "candidate",
        apiVersion: 1,
        create: () => ({
          pick(all) {
            asked.push(all.map(({ id }) => id));
            return all[0];
          },
        }),
      },
      large,
    );
    const candidates = large.filter((_, place) => [1, 2].includes(place % 4));
    expect(candidates).toHaveLength(500);
    const backend = candidates[0] as NonNullable<typeof a>;
    const facts = { backend, backends: large, candidates };
    const feed = feeds().feedOf("web", plan);
    expect(begin(feed, [], facts)).not.toBeNull();
    expect(begin(feed, [], { ...facts, affinity: true })).not.toBeNull();
    runner.tick();
    expect(asked).toEqual([candidates.map(({ id }) => id)]);
    expect(runner.figures()).toMatchObject({ picks: 1, agreed: 1, dropped: 0 });
    const first = runner.figures().backends.find(({ id }) => id === backend.id);
    expect(first?.shadow.inFlight.now).toBe(2);
  });

  test("follows its pool", () => {
    const seen: string[] = [];
    const runner = run({
      name: "candidate",
      apiVersion: 1,
      create: () => ({
        score: () => 0,
        onPoolChange: (all) => void seen.push(all.map(({ id, weight }) => id + weight).join()),
        onHealthChange: ({ id }, _from, to) => void seen.push(`${id} ${to}`),
      }),
    });
    runner.receive({ type: "health", id: "b", to: "unhealthy" });
    runner.receive({ type: "draining", id: "b", draining: true });
    const c = { id: "c", url: "http://c", weight: 3, labels: {} };
    runner.receive({
      type: "backends",
      backends: [{ ...c, health: "unknown", draining: false }],
    });
    expect(seen).toEqual(["a1,b1", "b unhealthy", "c3"]);
  });

  test("that only makes mistakes is stopped, with what it has done so far", () => {
    const runner = run(plugin(() => 9));
    const bad = run({
      name: "bad",
      apiVersion: 1,
      create: () => ({
        pick: () => {
          throw new Error("no idea");
        },
      }),
    });
    const feed = feeds().feedOf("web", plan);
    for (let i = 0; i < 15; i++) begin(feed);
    bad.tick();
    bad.tick();
    expect(stopped).toMatchObject([
      {
        reason: "10 faults in a row, the last: pick threw: no idea",
        figures: { picks: 10, fallbacks: 10, faults: 10, agreed: 0 },
      },
    ]);
    // A refusal is no mistake.
    runner.tick();
    expect(runner.figures()).toMatchObject({ picks: 15, refused: 15, faults: 0 });
    expect(stopped).toHaveLength(1);
  });
});
