/** Every way into a strategy's code is marked while it lasts, and can be closed. */
import { describe, expect, test } from "bun:test";
import type { Strategy, StrategyEnv } from "../../src/plugin.ts";
import { PULSE_WORDS, STRATEGY_METHODS, WorkerPulse } from "../../src/pool/worker-pulse.ts";
import { SLOW_PICK_MS } from "../../src/strategy/host.ts";
import { a, attempt, c, end, head, ignore, stage } from "../_support/stage.ts";

const HOOKS = STRATEGY_METHODS.filter((method) => method !== "score" && method !== "pick");

/** A strategy all of whose methods do `what`, played from its making to its end. */
function playAll(what: (method: string) => void, answer: Strategy, seen: StagePart = {}) {
  const create = (_env: StrategyEnv<unknown>): Strategy => {
    what("create");
    const hooks = HOOKS.map((hook) => [hook, () => what(hook)] as const);
    const picks = Object.entries(answer).map(
      ([method, given]) =>
        [
          method,
          () => {
            what(method);
            return (given as () => unknown)();
          },
        ] as const,
    );
    return Object.fromEntries<unknown>([...hooks, ...picks]) as Strategy;
  };
  const played = stage(create, {
    parseOptions: () => what("parseOptions"),
    options: {},
    ...seen,
  });
  played.pick();
  played.host.onStart(attempt(1));
  played.host.onResponse(attempt(1), head);
  played.host.healthChanged(a, "healthy", "unhealthy");
  played.host.takeSnapshot();
  played.host.dispose();
  played.host.onEnd(attempt(1), end);
  return played;
}

type StagePart = NonNullable<Parameters<typeof stage>[1]>;

describe("the mark of a call", () => {
  test.each<[string, Strategy]>([
    ["score", { score: () => 1 }],
    ["pick", { pick: (candidates) => candidates[0] }],
  ])("names the strategy and what is called, with %s", (asked, answer) => {
    const pulse = new WorkerPulse(new Int32Array(PULSE_WORDS));
    const marked = new Map<string, unknown>();
    const what = (method: string) => void marked.set(method, pulse.call);
    playAll(what, answer.pick ? { pick: () => a } : answer, { mark: pulse.callsOf(5) });
    const calls = ["parseOptions", "create", asked, ...HOOKS];
    expect([...marked.keys()].toSorted()).toEqual(calls.toSorted());
    for (const call of calls) expect(marked.get(call)).toEqual({ strategy: 5, call });
    expect(pulse.call).toBeNull();
  });

  test("goes when the call throws", () => {
    const pulse = new WorkerPulse(new Int32Array(PULSE_WORDS));
    const what = (method: string) => {
      if (method !== "create" && method !== "parseOptions") throw new Error(method);
    };
    const played = playAll(what, { score: () => 1 }, { mark: pulse.callsOf(5) });
    expect(played.faults).toHaveLength(HOOKS.length + 1);
    expect(pulse.call).toBeNull();
    const create = () => {
      throw new Error("no");
    };
    expect(() => stage(create, { mark: pulse.callsOf(5) })).toThrow();
    expect(pulse.call).toBeNull();
  });
});

describe("a sealed strategy", () => {
  test("is not even made, and least connections answers", () => {
    const called: string[] = [];
    const played = playAll(
      (method) => void called.push(method),
      { score: () => 1 },
      { sealed: true },
    );
    expect(called).toEqual([]);
    const { name, version, quarantined, faults } = played.host;
    expect({ name, version, quarantined, faults }).toEqual({
      name: "mine",
      version: "v1",
      quarantined: true,
      faults: 0,
    });
    expect(played.pick()).toEqual({ backend: c, fallback: true });
  });

  test("is told nothing from the moment it is sealed", () => {
    const called: string[] = [];
    const played = stage(() => ({
      score: () => called.push("score"),
      onStart: () => void called.push("onStart"),
      onEnd: () => void called.push("onEnd"),
      snapshot: () => called.push("snapshot"),
      dispose: () => void called.push("dispose"),
    }));
    played.host.onStart(attempt(1));
    played.host.seal();
    expect(played.pick()).toEqual({ backend: c, fallback: true });
    played.host.onEnd(attempt(1), end);
    expect(played.host.takeSnapshot()).toBeUndefined();
    played.host.dispose();
    expect(called).toEqual(["onStart"]);
    expect(played.host.quarantined).toBe(true);
  });
});

test("slow picks are counted each time and warned of once", () => {
  let slow = 0;
  const played = stage(() => ({ score: ignore }), { onSlowPick: () => void slow++ });
  for (let time = 0; time < 5; time++) played.host.pickWasSlow(SLOW_PICK_MS + time + 0.4);
  expect(slow).toBe(5);
  expect(played.lines).toEqual([
    {
      level: "warn",
      message: "a pick took longer than 10 ms, in which this worker did nothing else",
      fields: { pool: "web", strategy: "mine", version: "v1", pickMs: 10 },
    },
  ]);
});
