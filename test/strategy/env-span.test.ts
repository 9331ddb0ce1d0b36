import { describe, expect, test } from "bun:test";
import type { StrategySpan } from "../../src/plugin.ts";
import type { AttemptNotes } from "../../src/strategy/attempt-notes.ts";
import { PickRecord } from "../../src/strategy/pick-record.ts";
import { a, attempt, b, c, context, end, head, type Stage, stage } from "../_support/stage.ts";

type Note = readonly [name: string, value: unknown];

class KeptNotes implements AttemptNotes {
  readonly all: Note[] = [];

  setAttribute(name: string, value: unknown): void {
    this.all.push([name, value]);
  }

  addEvent(name: string, attributes: unknown): void {
    this.all.push([name, attributes]);
  }
}

/** A strategy that says one thing in `onStart`. */
function saying(what: (span: StrategySpan) => void): { played: Stage; notes: Note[] } {
  const played = stage(({ span }) => ({ score: () => 1, onStart: () => what(span) }));
  const notes = new KeptNotes();
  played.host.onStart(attempt(1), notes);
  return { played, notes: notes.all };
}

describe("env.span", () => {
  test("takes text, numbers and booleans, and events with and without attributes", () => {
    const { notes, played } = saying((span) => {
      span.setAttribute("zone", "b");
      span.setAttribute("cost.ms", 1.5);
      span.setAttribute("warm-up_1", true);
      span.addEvent("moved");
      span.addEvent("moved", { from: "a", back: false });
    });
    expect(notes).toEqual([
      ["zone", "b"],
      ["cost.ms", 1.5],
      ["warm-up_1", true],
      ["moved", {}],
      ["moved", { from: "a", back: false }],
    ]);
    expect(played.lines).toEqual([]);
  });

  test("cuts long text and many attributes", () => {
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`k${index}`, index]));
    const { notes } = saying((span) => {
      span.setAttribute("long", "x".repeat(1000));
      span.addEvent("many", many);
    });
    expect(notes[0]?.[1]).toBe("x".repeat(256));
    expect(Object.keys(notes[1]?.[1] as object).length).toBe(16);
  });

  const mistakes: readonly [string, (span: StrategySpan) => void, string][] = [
    ["an empty name", (span) => span.setAttribute("", 1), 'the name ""'],
    ["a name with a space", (span) => span.addEvent("a b"), 'the name "a b"'],
    ["a very long name", (span) => span.setAttribute("a".repeat(65), 1), "the name"],
    ["a name that is none", (span) => span.setAttribute(7 as never, 1), "the name 7"],
    ["NaN", (span) => span.setAttribute("n", Number.NaN), "NaN for n"],
    ["an object", (span) => span.setAttribute("o", {} as never), "for o"],
  ];
  for (const [what, say, words] of mistakes) {
    test(`does not take ${what}, and says so once`, () => {
      const { notes, played } = saying((span) => {
        for (let time = 0; time < 3; time++) say(span);
      });
      expect(notes).toEqual([]);
      expect(played.lines.map(({ level }) => level)).toEqual(["warn"]);
      expect(played.lines[0]?.message).toContain(words);
      expect(played.lines[0]?.fields).toMatchObject({ pool: "web", strategy: "mine" });
      expect(played.faults).toEqual([]);
    });
  }

  test("complains a few times at most, however many names are made up", () => {
    const { played } = saying((span) => {
      for (let time = 0; time < 1000; time++) span.setAttribute(`no ${time}`, 1);
    });
    expect(played.lines.length).toBe(8);
  });

  test("event attributes that are none of a kind are left out of an event", () => {
    const { notes } = saying((span) =>
      span.addEvent("moved", { ok: 1, no: Number.NaN, "not so": 2 }),
    );
    expect(notes).toEqual([["moved", { ok: 1 }]]);
  });

  test("belongs to the attempt of the call, and to none elsewhere", () => {
    let span: StrategySpan | undefined;
    const played = stage((env) => {
      ({ span } = env);
      const say = (what: string) => () => span?.setAttribute("in", what);
      say("create")();
      return {
        score: () => 1,
        onPoolChange: say("onPoolChange"),
        onHealthChange: say("onHealthChange"),
        onStart: say("onStart"),
        onResponse: say("onResponse"),
        onEnd: say("onEnd"),
      };
    });
    const [one, two] = [new KeptNotes(), new KeptNotes()];
    played.host.onStart(attempt(1), one);
    played.host.healthChanged(a, "unknown", "healthy");
    played.host.onStart(attempt(2), two);
    played.host.onStart(attempt(3));
    played.host.onResponse(attempt(1), head, one);
    span?.setAttribute("in", "nothing");
    played.host.onEnd(attempt(2), end, two);
    expect(one.all.map(([, value]) => value)).toEqual(["onStart", "onResponse"]);
    expect(two.all.map(([, value]) => value)).toEqual(["onStart", "onEnd"]);
  });

  test("keeps what is said in a pick until its attempt exists, also when the pick then fails", () => {
    const played = stage(({ span }) => ({
      pick() {
        span.setAttribute("thinking", true);
        span.addEvent("gave-up", { why: "test" });
        throw new Error("broken");
      },
    }));
    const record = new PickRecord();
    const candidates = [a, b, c] as const;
    expect(played.host.pick(candidates, context, record).fallback).toBe(true);
    const notes = new KeptNotes();
    record.notes.tell(notes);
    expect(notes.all).toEqual([
      ["thinking", true],
      ["gave-up", { why: "test" }],
    ]);
    expect(record.scores).toEqual([3, 2, 1]);
  });

  test("of a pick keeps 32 notes", () => {
    const played = stage(({ span }) => ({
      pick([first]: readonly unknown[]) {
        for (let note = 0; note < 100; note++) span.setAttribute(`n${note}`, note);
        return first;
      },
    }));
    const record = new PickRecord();
    played.host.pick([a, b, c], context, record);
    const notes = new KeptNotes();
    record.notes.tell(notes);
    expect(notes.all.length).toBe(32);
  });
});
