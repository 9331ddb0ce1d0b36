import { describe, expect, test } from "bun:test";
import type { RequestEnd } from "../../../src/proxy/observer.ts";
import { createAccessLogObserver } from "../../../src/telemetry/access-log/observer.ts";
import type { AccessRecord } from "../../../src/telemetry/access-log/record.ts";
import {
  attemptFacts,
  backend,
  requestEnd,
  requestFacts,
  type RequestSketch,
} from "../../_support/observed-facts.ts";

const NOTHING = { redactQuery: [], requestHeaders: [] };

function start(config: {
  log?: "errors" | "all";
  redactQuery?: string[];
  requestHeaders?: string[];
}) {
  const records: AccessRecord[] = [];
  let nowMs = 1000;
  let ended = 0;
  const observer = createAccessLogObserver({
    config: { log: "all", ...NOTHING, ...config },
    now: () => nowMs,
    wallClock: () => Date.UTC(2026, 10, 22, 15, 4, 5, 678),
    write: (record) => records.push(record),
    onEnded: () => ended++,
  });
  return {
    observer,
    records,
    pass: (ms: number) => {
      nowMs += ms;
    },
    ended: () => ended,
  };
}

function recordOf(config: Parameters<typeof start>[0], sketch: RequestSketch): AccessRecord {
  const { observer, records } = start(config);
  observer.requestStarted(requestFacts(sketch))?.ended(requestEnd());
  return records[0]!;
}

test("a request that was retried has the pool, the last backend, and what picked it", () => {
  const { observer, records, pass } = start({});
  const trace = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };
  const facts = requestFacts({ method: "POST", target: "/cart?item=7&sig=abc" });
  const observed = observer.requestStarted({ ...facts, clientAddress: "192.0.2.7" }, trace);
  observed?.routed("web", "shop.example/*");
  observed?.attemptStarting(attemptFacts());
  pass(5);
  observed?.attemptStarting(attemptFacts({ number: 2, backend: backend("b") }));
  pass(7.0004);
  observed?.ended(
    requestEnd({ requestBytes: 3, responseBytes: 17, firstByteMs: 11.00049, status: 201 }),
  );
  expect(records).toEqual([
    {
      time: "2026-11-22T15:04:05.678Z",
      level: "info",
      requestId: "r-1",
      ...trace,
      client: "192.0.2.7",
      method: "POST",
      host: "shop.example:8080",
      path: "/cart",
      query: "item=7&sig=REDACTED",
      status: 201,
      requestBytes: 3,
      responseBytes: 17,
      durationMs: 12,
      firstByteMs: 11,
      pool: "web",
      backend: "b",
      attempts: 2,
      strategy: "least-connections",
      strategyVersion: "1a2b3c",
      endedBy: "backend",
      phase: "done",
      error: null,
      headers: {},
    },
  ]);
});

test("a request that no backend ever saw has nulls in place of one", () => {
  const record = recordOf({}, { peerAddress: "" });
  expect(record).toMatchObject({
    traceId: null,
    spanId: null,
    client: null,
    query: null,
    pool: null,
    backend: null,
    attempts: 0,
    strategy: null,
    strategyVersion: null,
  });
});

describe("with errors alone", () => {
  test.each<[string, Partial<RequestEnd>, Partial<AccessRecord> | null]>([
    ["a good answer", {}, null],
    ["a backend's 404", { status: 404 }, null],
    ["a backend's 500", { status: 500 }, { status: 500, level: "error" }],
    [
      "our own 404",
      { status: 404, error: "no_route", endedBy: "proxy", phase: "head" },
      { status: 404, level: "info", error: "no_route" },
    ],
    [
      "our own 503",
      { status: 503, error: "no_backend_available", endedBy: "proxy", phase: "head" },
      { status: 503, level: "error" },
    ],
    [
      "a client gone before the answer",
      { status: null, error: "client_gone", endedBy: "client", phase: "head", firstByteMs: null },
      { status: 499, level: "info", firstByteMs: null },
    ],
    [
      "a client gone within the answer",
      { status: 200, error: "client_gone", endedBy: "client", phase: "body" },
      { status: 200, level: "info", error: "client_gone", phase: "body" },
    ],
    [
      "an answer that broke",
      { status: 200, error: "reset", endedBy: "backend", phase: "body" },
      { status: 200, level: "error", endedBy: "backend", phase: "body" },
    ],
  ])("%s", (_, end, expected) => {
    const { observer, records, ended } = start({ log: "errors" });
    const request = observer.requestStarted(requestFacts());
    for (let call = 1; call <= 2; call++) request?.ended(requestEnd(end));
    if (expected === null) expect(records).toEqual([]);
    else expect(records).toMatchObject([expected]);
    expect(ended()).toBe(1);
  });
});

describe("secrets", () => {
  test("values of configured keys of the query are not written, however the keys are written", () => {
    const target = "/x?Token=1&%74oken=2&token&a=token&tokens=3&X-Amz-Signature=4";
    expect(recordOf({ redactQuery: ["token"] }, { target }).query).toBe(
      "Token=REDACTED&%74oken=REDACTED&token&a=token&tokens=3&X-Amz-Signature=REDACTED",
    );
  });

  test("nor in a Referer", () => {
    const headers = { referer: "https://a.example/?q=1&token=2" };
    expect(
      recordOf({ redactQuery: ["token"], requestHeaders: ["referer"] }, { headers }),
    ).toHaveProperty("headers", { referer: "https://a.example/?q=1&token=REDACTED" });
  });

  test("credentials are never written, whatever is configured", () => {
    const names = ["authorization", "cookie", "set-cookie", "proxy-authorization"];
    const headers = Object.fromEntries([...names, "x-a"].map((name) => [name, "s3cret"]));
    const { headers: written } = recordOf(
      { requestHeaders: [...names, "x-a", "x-b"] },
      { headers },
    );
    expect(written).toEqual({ "x-a": "s3cret" });
  });
});
