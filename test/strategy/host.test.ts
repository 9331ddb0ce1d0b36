import { describe, expect, test } from "bun:test";
import type { Backend, Candidates } from "../../src/plugin.ts";
import { QUARANTINE_AFTER } from "../../src/strategy/host.ts";
import {
  a,
  b,
  c,
  backend,
  attempt,
  end,
  context,
  untouchable,
  rejected,
  ignore,
  stage,
} from "../_support/stage.ts";

describe("a strategy with score", () => {
  test("gets the candidate with the lowest score", () => {
    const { host } = stage(() => ({ score: (one: Backend) => (one === b ? -5 : 0) }));
    expect(host.pick([a, b, c], context)).toEqual({ backend: b, fallback: false });
  });

  test("refuses when every score is Infinity, which is no fault", () => {
    const played = stage(() => ({ score: () => Infinity }));
    for (let index = 0; index < 20; index++) {
      expect(played.pick()).toEqual({ backend: null, fallback: false });
    }
    expect(played.host.faults).toBe(0);
    expect(played.host.quarantined).toBe(false);
  });

  test("sees each candidate and the context as they are", () => {
    const seen: unknown[] = [];
    const played = stage(() => ({ score: (...given: unknown[]) => seen.push(given) }));
    played.pick([c, a]);
    expect(seen).toEqual([
      [c, context],
      [a, context],
    ]);
  });
});

describe("a strategy with pick", () => {
  test("gets its candidate", () => {
    const { host } = stage(() => ({ pick: (list: Candidates) => list[1] }));
    expect(host.pick([a, b, c], context)).toEqual({ backend: b, fallback: false });
  });

  test("refuses with null, which is no fault", () => {
    const played = stage(() => ({ pick: () => null }));
    expect(played.pick()).toEqual({ backend: null, fallback: false });
    expect(played.host.faults).toBe(0);
  });

  test("wins over score", () => {
    const played = stage(() => ({ pick: () => a, score: () => NaN }));
    expect(played.pick()).toEqual({ backend: a, fallback: false });
  });

  test("cannot change the list of candidates", () => {
    const played = stage(() => ({ pick: (list: Backend[]) => list.pop() }));
    const candidates: [Backend, ...Backend[]] = [a, b, c];
    expect(played.pick(candidates)).toEqual({ backend: c, fallback: true });
    expect(candidates).toEqual([a, b, c]);
  });

  test("sees the candidates of this pick, whatever those of the picks before were", () => {
    const seen: string[] = [];
    const played = stage(() => ({
      pick(list: Candidates) {
        seen.push(`${list.map((one) => one.id).join("")} ${Object.isFrozen(list)}`);
        return list[0];
      },
    }));
    const reused: [Backend, ...Backend[]] = [a, b];
    played.pick(reused);
    played.pick([a, b]);
    reused[1] = c;
    played.pick(reused);
    played.pick([c, a]);
    played.pick([c]);
    expect(seen).toEqual(["ab true", "ab true", "ac true", "ca true", "c true"]);
  });

  test("is called as a method of its object", () => {
    class Favourite {
      readonly #favourite = b;
      pick() {
        return this.#favourite;
      }
    }
    expect(stage(() => new Favourite()).pick().backend).toBe(b);
  });
});

describe("a fault is answered by least connections and explained:", () => {
  const stranger = backend("stranger", 0);
  const faults: readonly (readonly [situation: string, strategy: object, message: string])[] = [
    ["a score that is NaN", { score: () => NaN }, 'score returned NaN for backend "b"'],
    [
      "a score of a misspelt field",
      { score: (one: Backend) => (one as unknown as { inflight: number }).inflight },
      'score returned undefined for backend "b": it must return a number (lower is better, Infinity for "not this one"; is a field misspelt? a backend has id, url, weight, labels, health, draining, inFlight)',
    ],
    ["a score that is -Infinity", { score: () => -Infinity }, "score returned -Infinity"],
    ["a score that is text", { score: () => "1" }, 'score returned "1"'],
    ["a score that is a bigint", { score: () => 1n }, "score returned 1"],
    ["a score that is undefined", { score: () => undefined }, "score returned undefined"],
    ["a score that is a Promise", { score: async () => 1 }, "score returned a Promise"],
    ["a score that is a rejected Promise", { score: rejected }, "score returned a Promise"],
    [
      "a score that throws",
      {
        score() {
          throw new Error("no\n  idea");
        },
      },
      "score threw: no idea",
    ],
    [
      "a score for the last candidate only",
      { score: (one: Backend) => (one === c ? NaN : 0) },
      "score returned",
    ],
    ["a pick that is undefined", { pick: ignore }, "pick returned undefined"],
    ["a pick that is a Promise", { pick: async () => a }, "pick returned a Promise"],
    ["a pick that is a rejected Promise", { pick: rejected }, "pick returned a Promise"],
    ["a pick that is an id", { pick: () => "a" }, 'pick returned "a"'],
    ["a pick of a stranger", { pick: () => stranger }, 'pick returned {"id":"stranger"'],
    ["a pick of a copy", { pick: () => ({ ...a }) }, 'pick returned {"id":"a"'],
    [
      "a pick that is no candidate",
      { pick: () => a },
      'pick returned backend "a", which is not a candidate',
    ],
    ["a pick that cannot be looked at", { pick: untouchable }, "pick returned an object"],
    [
      "a pick that throws",
      {
        pick() {
          throw new TypeError("no idea");
        },
      },
      "pick threw: TypeError: no idea",
    ],
    [
      "a pick that throws undefined",
      {
        pick() {
          throw undefined;
        },
      },
      "pick threw: undefined",
    ],
    [
      "a pick that throws something that cannot be looked at",
      {
        pick() {
          throw untouchable();
        },
      },
      "pick threw: something that cannot be shown",
    ],
  ];

  for (const [situation, strategy, message] of faults) {
    test(situation, async () => {
      const played = stage(() => strategy);
      // `a` is in the pool, but not available.
      expect(played.pick(Object.freeze([b, c] as const))).toEqual({ backend: c, fallback: true });
      expect(played.host.faults).toBe(1);
      expect(played.faults.length).toBe(1);
      expect(played.faults[0]?.message.slice(0, message.length)).toBe(message);
      expect(played.lines.map((line) => line.level)).toEqual(["warn"]);
      expect(played.lines[0]?.message).toContain(message);
      expect(played.lines[0]?.fields).toMatchObject({
        pool: "web",
        strategy: "mine",
        version: "v1",
        faults: 1,
      });
      // An unhandled rejection would fail this test by now.
      await new Promise((resolve) => setTimeout(resolve, 0));
    });
  }

  test("with ties shared fairly", () => {
    const equal = Array.from({ length: 4 }, (_, index) => backend(`e${index}`, 0));
    const played = stage(() => ({ pick: ignore }), { backends: equal });
    const counts = new Map<Backend | null, number>();
    for (let index = 0; index < 400; index++) {
      const { backend: picked, fallback } = played.pick(equal as unknown as Candidates);
      expect(fallback).toBe(true);
      counts.set(picked, (counts.get(picked) ?? 0) + 1);
    }
    expect([...counts.values()]).toEqual([100, 100, 100, 100]);
  });
});

describe("the log of faults", () => {
  test("has at most one line a second, and says how many it left out", () => {
    let good = false;
    // Every other answer is good, so that there is no quarantine.
    const played = stage(() => ({
      score: () => {
        good = !good;
        return good ? 1 : NaN;
      },
    }));
    for (let ms = 0; ms < 3000; ms += 10) {
      played.nowMs = ms;
      played.pick([a]);
    }
    expect(played.host.faults).toBe(150);
    expect(played.lines.map((line) => line.fields?.["unreported"])).toEqual([0, 49, 49]);
    expect(played.lines[2]?.fields?.["faults"]).toBe(101);
  });
});

describe("quarantine", () => {
  test("comes after 10 faults in a row, and then nothing is asked", () => {
    let asked = 0;
    const played = stage(() => ({
      pick() {
        asked++;
      },
    }));
    for (let index = 0; index < QUARANTINE_AFTER - 1; index++) played.pick();
    expect(played.host.quarantined).toBe(false);
    for (let index = 0; index < 100; index++) {
      expect(played.pick()).toEqual({ backend: c, fallback: true });
    }
    expect(played.host.quarantined).toBe(true);
    expect(asked).toBe(10);
    expect(played.host.faults).toBe(10);
    expect(played.lines.map((line) => line.level)).toEqual(["warn", "error"]);
    expect(played.lines[1]?.message).toContain("quarantined after 10 faults in a row");
  });

  test("does not come when a good answer is among ten", () => {
    let asked = 0;
    const played = stage(() => ({ pick: () => (++asked % 10 === 0 ? a : undefined) }));
    for (let index = 0; index < 100; index++) played.pick();
    expect(played.host.faults).toBe(90);
    expect(played.host.quarantined).toBe(false);
  });

  test("does not come from hooks, whose faults touch no pick", () => {
    const played = stage(() => ({
      score: () => 1,
      onStart() {
        throw new Error("broken");
      },
    }));
    for (let index = 0; index < 50; index++) played.host.onStart(attempt(index));
    expect(played.host.faults).toBe(50);
    expect(played.host.quarantined).toBe(false);
    expect(played.pick().fallback).toBe(false);
  });

  test("leaves the hooks on, so that what is counted per attempt stays right", () => {
    let running = 0;
    const played = stage(() => ({
      pick: ignore,
      onStart: () => void running++,
      onEnd: () => void running--,
      snapshot: () => running,
    }));
    played.host.onStart(attempt(1));
    for (let index = 0; index < 10; index++) played.pick();
    expect(played.host.quarantined).toBe(true);
    played.host.onStart(attempt(2));
    played.host.onEnd(attempt(1), end);
    expect(played.host.takeSnapshot()).toBe(1);
  });
});
