/** What a CLIENT span tells beyond what the conventions ask for. */
import { afterEach, describe, expect, test } from "bun:test";
import { diag, SpanKind } from "@opentelemetry/api";
import type { Decision, ObservedAttempt } from "../../src/proxy/observer.ts";
import { attemptFacts, requestEnd, requestFacts } from "../_support/observed-facts.ts";
import { exporter, observerWith, spanOf } from "../_support/recorded-spans.ts";

afterEach(() => exporter.reset());

const DECISION: Decision = {
  candidates: [
    { id: "a", inFlight: 3, score: 3 },
    { id: "b", inFlight: 9, score: Infinity },
    { id: "c", inFlight: 1, score: 0.5 },
  ],
  excluded: [
    { id: "d", reason: "down" },
    { id: "e", reason: "ejected" },
  ],
  tie: false,
  failOpen: false,
  ejected: 1,
};

function attemptWith(
  facts: Parameters<typeof attemptFacts>[0],
  during: (attempt: ObservedAttempt) => void = () => {},
) {
  const request = observerWith().requestStarted(requestFacts());
  expect(request?.wantsDecision).toBe(true);
  const attempt = request!.attemptStarting(attemptFacts(facts))!;
  during(attempt);
  attempt.ended({ outcome: "ok", status: 200, error: null });
  request?.ended(requestEnd());
  const span = spanOf(SpanKind.CLIENT);
  return {
    attributes: span.attributes,
    events: span.events.map(({ name, attributes = {} }) => ({ name, attributes })),
    span,
  };
}

describe("the decision", () => {
  test("is an event at the attempt's start, the best candidate first", () => {
    const { attributes, events, span } = attemptWith({ decision: DECISION });
    expect(events).toEqual([
      {
        name: "leastwise.decision",
        attributes: {
          "leastwise.decision.candidates": ["c", "a", "b"],
          "leastwise.decision.in_flight": [1, 3, 9],
          "leastwise.decision.scores": [0.5, 3, Number.MAX_VALUE],
          "leastwise.decision.excluded": ["d down", "e ejected"],
          "leastwise.decision.tie": false,
          "leastwise.decision.fail_open": false,
        },
      },
    ]);
    expect(span.events[0]?.time).toEqual(span.startTime);
    expect(attributes["leastwise.ejected_count"]).toBe(1);
  });

  test("without scores keeps the pool's order", () => {
    const candidates = DECISION.candidates.map((candidate) => ({ ...candidate, score: null }));
    const { events } = attemptWith({ decision: { ...DECISION, candidates } });
    expect(events[0]?.attributes).toMatchObject({
      "leastwise.decision.candidates": ["a", "b", "c"],
      "leastwise.decision.in_flight": [3, 9, 1],
    });
    expect(events[0]?.attributes).not.toContainKey("leastwise.decision.scores");
    expect(events[0]?.attributes).toMatchObject({
      "leastwise.decision.no_scores": "pick decides, no scores",
    });
  });

  test("by a session says that the strategy was not asked", () => {
    const candidates = DECISION.candidates.map((candidate) => ({ ...candidate, score: null }));
    const { events } = attemptWith({ decision: { ...DECISION, candidates, affinity: true } });
    expect(events[0]?.attributes).toMatchObject({
      "leastwise.decision.no_scores": "the client's session decides, no scores",
    });
  });

  test("of a very large pool shows the best and says how many it left out", () => {
    const candidates = Array.from({ length: 1000 }, (_, index) => ({
      id: `b${index}`,
      inFlight: 0,
      score: 1000 - index,
    }));
    const { events } = attemptWith({ decision: { ...DECISION, candidates } });
    const attributes = events[0]?.attributes ?? {};
    const ids = attributes["leastwise.decision.candidates"] as string[];
    expect(ids).toHaveLength(64);
    expect(ids[0]).toBe("b999");
    expect(attributes["leastwise.decision.left_out"]).toBe(936);
  });

  test("that nobody built is no event", () => {
    const { attributes, events } = attemptWith({ decision: null });
    expect(events).toEqual([]);
    expect(attributes).not.toContainKey("leastwise.ejected_count");
  });
});

test("an attempt that goes out again over a fresh connection", () => {
  const { events } = attemptWith({}, (attempt) => {
    attempt.reconnecting();
    attempt.connected(2);
    attempt.responded(200);
  });
  expect(events.map(({ name }) => name)).toEqual([
    "leastwise.reconnecting",
    "leastwise.connected",
    "leastwise.first_byte",
  ]);
});

test("a retry that the budget refused is an event of the request", () => {
  const request = observerWith().requestStarted(requestFacts());
  request?.retryRefused();
  request?.ended(requestEnd({ status: 502, error: "reset" }));
  expect(spanOf(SpanKind.SERVER).events.map(({ name }) => name)).toEqual([
    "leastwise.retry_refused",
  ]);
});

describe("what the strategy says", () => {
  test("stands under a name of its own, so that it cannot pass for ours", () => {
    const { attributes, events } = attemptWith({}, ({ notes }) => {
      notes?.setAttribute("pool", "theirs");
      notes?.addEvent("decision", { zone: "b" });
    });
    expect(attributes).toMatchObject({
      "leastwise.pool": "web",
      "leastwise.plugin.pool": "theirs",
    });
    expect(events).toEqual([{ name: "leastwise.plugin.decision", attributes: { zone: "b" } }]);
  });

  test("is cut off after 32 notes", () => {
    const { attributes, events } = attemptWith({}, ({ notes }) => {
      for (let note = 0; note < 20; note++) {
        notes?.setAttribute(`n${note}`, note);
        notes?.addEvent("e", {});
      }
    });
    const own = Object.keys(attributes).filter((name) => name.startsWith("leastwise.plugin."));
    expect(own.length + events.length).toBe(32);
  });

  test("after the end is dropped without a word of the SDK", () => {
    const complaints: string[] = [];
    const complain = (message: string): void => void complaints.push(message);
    diag.setLogger({ error: complain, warn: complain, info() {}, debug() {}, verbose() {} });
    let kept: ObservedAttempt["notes"];
    attemptWith({}, ({ notes }) => void (kept = notes));
    kept?.setAttribute("late", 1);
    kept?.addEvent("late", {});
    diag.disable();
    expect(complaints).toEqual([]);
    expect(spanOf(SpanKind.CLIENT).attributes).not.toContainKey("leastwise.plugin.late");
  });
});

describe("who chose the backend", () => {
  test("was the client's session: the span says so, and nothing of how long a strategy took", () => {
    const { attributes } = attemptWith({ affinity: true, pickMs: 0 });
    expect(attributes["leastwise.affinity"]).toBe(true);
    expect(attributes).not.toContainKey("leastwise.pick.duration_us");
  });

  test("was the strategy: the span says how long it took, and nothing of a session", () => {
    const { attributes } = attemptWith({});
    expect(attributes["leastwise.pick.duration_us"]).toBe(250);
    expect(attributes).not.toContainKey("leastwise.affinity");
  });
});
