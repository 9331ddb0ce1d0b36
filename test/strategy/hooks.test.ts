import { describe, expect, test } from "bun:test";
import { deserialize } from "node:v8";
import type { Attempt, Backend } from "../../src/plugin.ts";
import type { StrategyHost, StrategyHostOptions } from "../../src/strategy/host.ts";
import { a, backends, c, attempt, end, head, rejected, ignore, stage } from "../_support/stage.ts";

describe("hooks", () => {
  const calls: Readonly<Record<string, (host: StrategyHost) => void>> = {
    onPoolChange: (host) => host.setBackends([a]),
    onHealthChange: (host) => host.healthChanged(a, "unknown", "healthy"),
    onStart: (host) => host.onStart(attempt(1)),
    onResponse: (host) => host.onResponse(attempt(1), head),
    onEnd: (host) => host.onEnd(attempt(1), end),
    snapshot: (host) => expect(host.takeSnapshot()).toBe(undefined),
    dispose: (host) => host.dispose(),
  };

  for (const [hook, call] of Object.entries(calls)) {
    test(`a throw of ${hook} is counted and goes no further`, () => {
      let broken = false;
      const played = stage(() => ({
        score: () => 1,
        [hook]() {
          if (broken) throw new Error("broken");
        },
      }));
      broken = true;
      call(played.host);
      expect(played.faults.map((fault) => fault.message)).toEqual([`${hook} threw: broken`]);
      expect(played.host.faults).toBe(1);
    });

    test(`a Promise of ${hook} that rejects is counted and goes no further`, async () => {
      let broken = false;
      const played = stage(() => ({
        score: () => 1,
        [hook]: () => (broken ? rejected() : undefined),
      }));
      broken = true;
      call(played.host);
      await new Promise((resolve) => setTimeout(resolve, 0));
      expect(played.host.faults).toBe(1);
      expect(played.faults[0]?.message.startsWith(hook)).toBe(true);
    });
  }

  test("may all be missing", () => {
    const played = stage(() => ({ score: () => 1 }));
    for (const call of Object.values(calls)) call(played.host);
    expect(played.host.faults).toBe(0);
  });

  test("begin with the pool, before anything else, and once", () => {
    const told: unknown[] = [];
    const played = stage(() => ({
      onPoolChange: (list: readonly Backend[]) => void told.push(["pool", list]),
      onStart: () => void told.push("start"),
      score: () => told.push("score"),
    }));
    played.pick([a]);
    played.host.onStart(attempt(1));
    played.host.setBackends([a]);
    expect(told).toEqual([["pool", [...backends]], "score", "start", ["pool", [a]]]);
  });

  test("never overlap with a pick or each other: what happens meanwhile is told afterwards", () => {
    const told: string[] = [];
    let during: (() => void) | null = null;
    function enter(name: string): void {
      told.push(`${name} begins`);
      const run = during;
      during = null;
      run?.();
      told.push(`${name} ends`);
    }
    const played = stage(() => ({
      pick() {
        enter("pick");
        return a;
      },
      onStart: () => enter("start"),
      onEnd: () => enter("end"),
    }));
    during = () => {
      played.host.onStart(attempt(1));
      played.host.onEnd(attempt(1), end);
      // Nobody can ask a strategy that is busy; that is nobody's fault.
      expect(played.pick()).toEqual({ backend: c, fallback: true });
    };
    expect(played.pick()).toEqual({ backend: a, fallback: false });
    expect(told).toEqual([
      "pick begins",
      "pick ends",
      "start begins",
      "start ends",
      "end begins",
      "end ends",
    ]);
    expect(played.host.faults).toBe(0);
  });
});

describe("the instance before", () => {
  function previousOf(previous: StrategyHostOptions["previous"]): unknown {
    let found: unknown = "untouched";
    stage(
      (env) => {
        found = env.previous;
        return { score: () => 1 };
      },
      { previous },
    );
    return found;
  }

  test("leaves its snapshot to the next one of its name", () => {
    expect(previousOf({ name: "mine", snapshot: { n: 1 } })).toEqual({ n: 1 });
  });

  test("leaves nothing to one of another name", () => {
    expect(previousOf({ name: "other", snapshot: { n: 1 } })).toBe(undefined);
    expect(previousOf(null)).toBe(undefined);
  });

  test("leaves a copy, which later changes do not reach", () => {
    const state = { list: [1] };
    const played = stage(() => ({ score: () => 1, snapshot: () => state }));
    const snapshot = played.host.takeSnapshot();
    state.list.push(2);
    expect(snapshot).toEqual({ list: [1] });
  });

  // The first is copied nowhere; the second within a process, and to no other one.
  const empty = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);
  const uncopied = { "a function": ignore, "a module": new WebAssembly.Module(empty) };
  for (const [what, held] of Object.entries(uncopied)) {
    test(`leaves nothing when its snapshot holds ${what}`, () => {
      const played = stage(() => ({ score: () => 1, snapshot: () => ({ held }) }));
      expect(played.host.takeSnapshot()).toBe(undefined);
      expect(played.host.takeSnapshotBytes()).toBe(null);
      expect(played.faults.map(({ method }) => method)).toEqual(["snapshot", "snapshot"]);
      // What follows are the runtime's words.
      expect(played.faults[0]?.message.startsWith("snapshot threw: ")).toBe(true);
    });
  }

  test("leaves nothing when its snapshot method cannot even be read", () => {
    let broken = false;
    const played = stage(() => ({
      score: () => 1,
      get snapshot() {
        if (broken) throw new Error("broken");
        return () => 1;
      },
    }));
    broken = true;
    expect(played.host.takeSnapshot()).toBe(undefined);
    expect(played.faults.map((fault) => fault.message)).toEqual(["snapshot threw: broken"]);
  });

  test("leaves the same to another process", () => {
    const state = new Map([["a", [1, NaN]]]);
    const played = stage(() => ({ score: () => 1, snapshot: () => state }));
    expect(deserialize(played.host.takeSnapshotBytes() ?? new Uint8Array())).toEqual(state);
    const silent = stage(() => ({ score: () => 1, snapshot: () => undefined }));
    expect(silent.host.takeSnapshotBytes()).toBe(null);
    expect(silent.host.faults).toBe(0);
  });

  test("is told of the ends of its attempts, and disposed of after the last, once", () => {
    const told: string[] = [];
    const { host } = stage(() => ({
      score: () => 1,
      onEnd: (one: Attempt) => void told.push(`end ${one.id}`),
      dispose: () => void told.push("dispose"),
    }));
    host.onStart(attempt(1));
    host.onStart(attempt(2));
    host.dispose();
    host.onEnd(attempt(2), end);
    host.dispose();
    host.onEnd(attempt(1), end);
    host.dispose();
    expect(told).toEqual(["end 2", "end 1", "dispose"]);
  });

  test("is told nothing after it was disposed of", () => {
    const told: string[] = [];
    const { host } = stage(() => ({
      score: () => 1,
      onPoolChange: () => void told.push("pool"),
    }));
    host.dispose();
    host.setBackends([a]);
    expect(told).toEqual(["pool"]);
  });
});
