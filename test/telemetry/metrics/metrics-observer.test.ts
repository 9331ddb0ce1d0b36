import { STATUS_CODES } from "node:http";
import { beforeEach, describe, expect, test } from "bun:test";
import type { AttemptObservedEnd, ObservedRequest } from "../../../src/proxy/observer.ts";
import { StrategyFault } from "../../../src/strategy/fault.ts";
import { INSTRUMENTS } from "../../../src/telemetry/metrics/instruments.ts";
import { regionLength } from "../../../src/telemetry/metrics/region.ts";
import { readRegion } from "../../../src/telemetry/metrics/region-reader.ts";
import { Totals } from "../../../src/telemetry/metrics/totals.ts";
import { WorkerMetrics } from "../../../src/telemetry/metrics/worker-metrics.ts";
import {
  attemptFacts,
  backend,
  requestEnd,
  requestFacts,
  type RequestSketch,
} from "../../_support/observed-facts.ts";
import { RecordedLog } from "../../_support/recorded-log.ts";

const TRACE = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };
const DONE: AttemptObservedEnd = { outcome: "ok", status: 200, error: null };
const A = backend("a");

let words: Int32Array;
let nowMs: number;
let metrics: WorkerMetrics;
let log: RecordedLog;

beforeEach(() => {
  words = new Int32Array(regionLength(1));
  nowMs = 1000;
  log = new RecordedLog();
  const knownMethods = new Set(["GET", "POST"]);
  metrics = new WorkerMetrics({ words, knownMethods, now: () => nowMs, log });
});

function started(sketch: RequestSketch = {}): ObservedRequest {
  const observed = metrics.observer.requestStarted(requestFacts({ startedAt: nowMs, ...sketch }));
  if (observed === null) throw new Error("the request is not counted");
  return observed;
}

/** One request with one attempt, both `ms` long. */
function serve(ms: number, sketch: RequestSketch = {}): void {
  const request = started(sketch);
  request.routed("web", "shop.example/v1/*");
  const attempt = request.attemptStarting(attemptFacts({ backend: A }));
  nowMs += ms;
  attempt?.ended(DONE);
  request.ended(requestEnd());
}

/** Numbers by `name{label=value,…}`; of a histogram its sum and count. */
function counted(): Record<string, unknown> {
  const totals = new Totals(INSTRUMENTS);
  totals.add(readRegion(words, INSTRUMENTS));
  return Object.fromEntries(
    totals.metrics().flatMap(({ instrument, points }) =>
      points.map(({ labels, values }) => {
        const [first, ...buckets] = values;
        const value =
          instrument.kind === "histogram"
            ? { sum: first, count: buckets.reduce((sum, each) => sum + each, 0) }
            : first;
        return [`${instrument.name}{${labels.map((each) => each.join("=")).join(",")}}`, value];
      }),
    ),
  );
}

const A_LABELS =
  "leastwise.pool=web,leastwise.backend.id=a,server.address=10.0.0.1,server.port=3000";
const CLIENT = `http.client.request.duration{http.request.method=GET,http.response.status_code=200,network.protocol.version=1.1,${A_LABELS}}`;

test("a request and its attempt are counted with their durations, names and nothing of the client's", () => {
  serve(500, { host: "evil.example", target: "/v1/secret?x=1" });
  expect(counted()).toEqual({
    "leastwise.access_log.dropped{}": 0,
    "http.server.request.duration{http.request.method=GET,url.scheme=http,http.response.status_code=200,http.route=/v1/*,leastwise.pool=web,network.protocol.version=1.1}":
      { sum: 0.5, count: 1 },
    [CLIENT]: { sum: 0.5, count: 1 },
    "http.server.active_requests{http.request.method=GET,url.scheme=http}": 0,
    "leastwise.retry_budget.refusals{leastwise.pool=web}": 0,
    [`leastwise.reconnects{${A_LABELS}}`]: 0,
    "leastwise.pick.duration{leastwise.pool=web,leastwise.strategy=least-connections}": {
      sum: 0.00025,
      count: 1,
    },
    "leastwise.pick.fallbacks{leastwise.pool=web,leastwise.strategy=least-connections}": 0,
  });
});

test("an attempt that the client's session has placed is no pick of the strategy's", () => {
  const PICKS = "leastwise.pick.duration{leastwise.pool=web,leastwise.strategy=least-connections}";
  const request = started();
  request.attemptStarting(attemptFacts({ backend: A, affinity: true }))?.ended(DONE);
  expect(counted()).toMatchObject({ [PICKS]: { sum: 0, count: 0 } });
  request.attemptStarting(attemptFacts({ backend: A }))?.ended(DONE);
  expect(counted()).toMatchObject({ [PICKS]: { count: 1 }, [CLIENT]: { count: 2 } });
});

test("a request under way is active until it has ended, once", () => {
  const active = "http.server.active_requests{http.request.method=POST,url.scheme=http}";
  const request = started({ method: "POST" });
  expect(counted()).toMatchObject({ [active]: 1 });
  request.ended(requestEnd());
  request.ended(requestEnd());
  expect(counted()).toMatchObject({ [active]: 0 });
});

test("an unknown method is _OTHER", () => {
  serve(1, { method: "BREW" });
  expect(
    Object.keys(counted()).filter((key) => key.includes("http.request.method=_OTHER")),
  ).toHaveLength(3);
  expect(JSON.stringify(counted())).not.toContain("BREW");
});

describe("how a request ended is told as on spans:", () => {
  test.each([
    [
      "refused by us",
      requestEnd({ status: 503, error: "no_backend_available" }),
      ["http.response.status_code=503", "error.type=no_backend_available"],
    ],
    [
      "failed by a backend",
      requestEnd({ status: 500 }),
      ["http.response.status_code=500", "error.type=500"],
    ],
    [
      "the client's fault",
      requestEnd({ status: 404, error: "no_route" }),
      ["http.response.status_code=404"],
    ],
    ["the client went away", requestEnd({ status: null, error: "client_gone" }), []],
  ])("%s", (_situation, end, labels) => {
    started().ended(end);
    const version = "network.protocol.version=1.1";
    const wanted = ["http.request.method=GET", "url.scheme=http", ...labels, version];
    expect(counted()).toContainKey(`http.server.request.duration{${wanted.join(",")}}`);
  });
});

describe("how an attempt ended is told as on spans:", () => {
  test.each([
    [
      "nobody listened",
      { outcome: "connect", status: null, error: "connect_refused" },
      ["error.type=connect_refused"],
    ],
    [
      "an answer that is an error",
      { outcome: "ok", status: 404, error: null },
      ["http.response.status_code=404", "error.type=404"],
    ],
    ["the client went away", { outcome: "client_gone", status: null, error: "client_gone" }, []],
  ] as const)("%s", (_situation, end, labels) => {
    started()
      .attemptStarting(attemptFacts({ backend: A }))
      ?.ended(end);
    const version = "network.protocol.version=1.1";
    const wanted = ["http.request.method=GET", ...labels, version, A_LABELS];
    expect(counted()).toContainKey(`http.client.request.duration{${wanted.join(",")}}`);
  });
});

test("retries, refused retries, reconnects, fallbacks, faults and lost lines are counted", () => {
  metrics.lineDropped();
  const request = started();
  request.routed("web", null);
  request.attemptStarting(attemptFacts({ backend: A, fallback: true }))?.reconnecting();
  request.attemptStarting(attemptFacts({ backend: A, number: 2, retryReason: "timeout" }));
  request.attemptStarting(attemptFacts({ backend: A, number: 3, retryReason: "timeout" }));
  request.retryRefused();
  metrics.fault("web", "mine", new StrategyFault("score", "score threw"));
  metrics.fault("web", "mine", new StrategyFault("onEnd", "onEnd threw"));
  metrics.counter({ name: "hits", pool: "web", strategy: "mine" }).add(2);
  metrics.counter({ name: "hits", pool: "web", strategy: "mine" }).add(0.5);
  const MINE = "leastwise.pool=web,leastwise.strategy=mine";
  expect(counted()).toMatchObject({
    "leastwise.retries{leastwise.retry.reason=timeout,leastwise.pool=web}": 2,
    "leastwise.retry_budget.refusals{leastwise.pool=web}": 1,
    "leastwise.access_log.dropped{}": 1,
    [`leastwise.reconnects{${A_LABELS}}`]: 1,
    "leastwise.pick.fallbacks{leastwise.pool=web,leastwise.strategy=least-connections}": 1,
    [`leastwise.strategy.faults{leastwise.strategy.method=score,${MINE}}`]: 1,
    [`leastwise.strategy.faults{leastwise.strategy.method=onEnd,${MINE}}`]: 1,
    [`leastwise.pick.errors{${MINE}}`]: 1,
    [`leastwise.strategy.events{leastwise.counter.name=hits,${MINE}}`]: 2.5,
  });
});

test("a traced request leaves its span as an exemplar, one that is not traced none", () => {
  const exemplars = () =>
    readRegion(words, INSTRUMENTS)
      .flatMap((series) => series.exemplars)
      .filter((each) => each !== null);
  serve(500);
  expect(exemplars()).toEqual([]);
  const traced = metrics.observer.requestStarted(requestFacts({ startedAt: nowMs }), TRACE);
  nowMs += 500;
  traced?.ended(requestEnd());
  expect(exemplars()).toEqual([{ ...TRACE, value: 0.5, timeMs: expect.any(Number) }]);
});

test("what an attempt measures has the attempt's span as its exemplar", () => {
  const ATTEMPT = { ...TRACE, spanId: "00f067aa0ba902b7" };
  const request = metrics.observer.requestStarted(requestFacts({ startedAt: nowMs }), TRACE);
  const attempt = request?.attemptStarting(attemptFacts({ backend: A }), ATTEMPT);
  attempt?.ended(DONE);
  request?.ended(requestEnd());
  const spans = Object.fromEntries(
    [...readRegion(words, INSTRUMENTS)].flatMap(({ instrument, exemplars }) =>
      exemplars.flatMap((each) => (each === null ? [] : [[instrument.name, each.spanId]])),
    ),
  );
  expect(spans).toEqual({
    "http.server.request.duration": TRACE.spanId,
    "http.client.request.duration": ATTEMPT.spanId,
    "leastwise.pick.duration": ATTEMPT.spanId,
  });
});

test("a request over HTTP/1.0 is told apart", () => {
  const facts = requestFacts({ startedAt: nowMs });
  const request = metrics.observer.requestStarted({
    ...facts,
    request: { ...facts.request, version: "1.0" },
  });
  request?.ended(requestEnd());
  expect(Object.keys(counted()).filter((key) => key.includes("version"))).toEqual([
    "http.server.request.duration{http.request.method=GET,url.scheme=http,http.response.status_code=200,network.protocol.version=1.0}",
  ]);
});

test("100,000 different paths, hosts, methods and clients make no further series", () => {
  serve(1);
  serve(1, { method: "BREW" });
  const before = Object.keys(counted());
  for (let i = 0; i < 100_000; i++) {
    serve(1, {
      target: `/v1/${i}?q=${i}`,
      host: `h${i}.example`,
      method: i % 2 === 0 ? "GET" : `M${i}`,
      peerAddress: `10.0.${i >> 8}.${i & 255}`,
    });
  }
  expect(Object.keys(counted())).toEqual(before);
  expect(counted()[CLIENT]).toEqual({ sum: expect.closeTo(50.001, 6), count: 50_001 });
});

test("a region that is full is said once, and everything is still counted", () => {
  // Backends of somebody else's making that answer every status there is.
  const request = (status: number, id: string) => {
    const attempt = started().attemptStarting(attemptFacts({ backend: backend(id) }));
    attempt?.ended({ outcome: "ok", status, error: null });
  };
  const statuses = Object.keys(STATUS_CODES).map(Number);
  for (let each = 0; each < 80; each++) {
    for (const status of statuses) request(status, `b${each}`);
  }
  const durations = Object.entries(counted()).filter(([name]) =>
    name.startsWith("http.client.request"),
  );
  const count = durations.reduce((sum, [, value]) => sum + (value as { count: number }).count, 0);
  expect(count).toBe(80 * statuses.length);
  const overflow = counted()["http.client.request.duration{otel.metric.overflow=true}"];
  expect((overflow as { count: number }).count).toBeGreaterThan(0);
  expect(
    log.lines.filter(({ message }) => message.includes("no room for further series")),
  ).toHaveLength(1);
});

test.each([
  [299, "200", undefined],
  [418, "418", "418"],
  [499, "400", "400"],
  [520, "500", "500"],
  [777, "500", "500"],
])(
  "a status of %d counts as %s: one that nobody registered says no more",
  (status, code, error) => {
    const request = started();
    request.routed("web", null);
    const attempt = request.attemptStarting(attemptFacts({ backend: A }));
    attempt?.ended({ ...DONE, status });
    request.ended(requestEnd({ status }));
    const names = Object.keys(counted()).filter((name) => name.startsWith("http.client.request"));
    expect(names).toHaveLength(1);
    expect(names[0]).toContain(`http.response.status_code=${code},`);
    if (error === undefined) expect(names[0]).not.toContain("error.type");
    else expect(names[0]).toContain(`error.type=${error},`);
  },
);
