import { describe, expect, test } from "bun:test";
import type { ObservedRequest, RequestObserver } from "../../src/proxy/observer.ts";
import { combineObservers } from "../../src/telemetry/combined-observer.ts";
import { attemptFacts, requestEnd, requestFacts } from "../_support/observed-facts.ts";
import { RecordedFacts } from "../_support/recorded-facts.ts";

const TRACE = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };

const ignoring: RequestObserver = { requestStarted: () => null };

const ATTEMPT = { ...TRACE, spanId: "00f067aa0ba902b7" };

/** As traces do: headers, notes, and a name for the request. */
function tracing(change: Partial<ObservedRequest> = {}): RequestObserver {
  const inner = new RecordedFacts();
  return {
    requestStarted: (facts) => ({
      ...inner.requestStarted(facts),
      wantsDecision: true,
      trace: TRACE,
      attemptStarting: () => ({
        trace: ATTEMPT,
        headers: [["traceparent", "00-1"]],
        removed: ["baggage"],
        notes: { setAttribute() {}, addEvent() {} },
        connected() {},
        reconnecting() {},
        responded() {},
        ended() {},
      }),
      ...change,
    }),
  };
}

describe("observers together", () => {
  test("are nobody, or the only one itself", () => {
    const one = new RecordedFacts();
    expect(combineObservers()).toBeNull();
    expect(combineObservers(null, null)).toBeNull();
    expect(combineObservers(null, one, null)).toBe(one);
  });

  test("are all told everything", () => {
    const all = [new RecordedFacts(), new RecordedFacts(), new RecordedFacts()];
    const request = combineObservers(...all)?.requestStarted(requestFacts());
    request?.routed("web", null);
    const attempt = request?.attemptStarting(attemptFacts());
    attempt?.connected(1);
    attempt?.reconnecting();
    attempt?.responded(200);
    attempt?.ended({ outcome: "ok", status: 200, error: null });
    request?.retryRefused();
    request?.ended(requestEnd());
    for (const one of all) {
      expect(one.told).toEqual([
        "routed web -",
        "connected",
        "reconnecting",
        "responded 200",
        "retry refused",
      ]);
      expect([one.started, one.attempts, one.attemptEnds, one.ends].map((m) => m.length)).toEqual([
        1, 1, 1, 1,
      ]);
    }
  });

  test("cost nothing for those who do not watch this request", () => {
    const one = new RecordedFacts();
    const watched: ObservedRequest[] = [];
    const remembering: RequestObserver = {
      requestStarted: (facts) => {
        const request = one.requestStarted(facts);
        watched.push(request);
        return request;
      },
    };
    const request = combineObservers(ignoring, remembering, ignoring)?.requestStarted(
      requestFacts(),
    );
    expect(request).toBe(watched[0]);
    expect(combineObservers(ignoring, ignoring)?.requestStarted(requestFacts())).toBeNull();
  });

  test("send what traces want sent, and take notes for them", () => {
    const counting = new RecordedFacts();
    counting.wantsDecision = false;
    for (const order of [
      [tracing(), counting],
      [counting, tracing()],
    ] as const) {
      const request = combineObservers(...order)?.requestStarted(requestFacts());
      expect(request?.wantsDecision).toBe(true);
      const attempt = request?.attemptStarting(attemptFacts());
      expect(attempt?.headers).toEqual([["traceparent", "00-1"]]);
      expect(attempt?.removed).toEqual(["baggage"]);
      expect(attempt?.notes).toBeDefined();
    }
  });

  test("want no decision when none of them does", () => {
    const [one, two] = [new RecordedFacts(), new RecordedFacts()];
    one.wantsDecision = two.wantsDecision = false;
    expect(combineObservers(one, two)?.requestStarted(requestFacts())?.wantsDecision).toBe(false);
  });

  test("know the trace of those before them", () => {
    const [counting, logging] = [new RecordedFacts(), new RecordedFacts()];
    combineObservers(tracing(), counting, logging)?.requestStarted(requestFacts());
    expect(counting.traces).toEqual([TRACE]);
    expect(logging.traces).toEqual([TRACE]);
  });

  test("know the trace of each attempt of those before them", () => {
    const [counting, logging] = [new RecordedFacts(), new RecordedFacts()];
    const request = combineObservers(tracing(), counting, logging)?.requestStarted(requestFacts());
    request?.attemptStarting(attemptFacts());
    expect(counting.attemptTraces).toEqual([ATTEMPT]);
    expect(logging.attemptTraces).toEqual([ATTEMPT]);
  });

  test("without a trace hand the facts on as they are", () => {
    const [one, two] = [new RecordedFacts(), new RecordedFacts()];
    const facts = requestFacts();
    combineObservers(one, two)?.requestStarted(facts);
    expect(two.started[0]).toBe(facts);
    expect(two.traces).toEqual([null]);
  });
});
