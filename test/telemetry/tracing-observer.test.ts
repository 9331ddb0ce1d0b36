import { afterEach, describe, expect, test } from "bun:test";
import { diag, SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { AlwaysOffSampler, ParentBasedSampler } from "@opentelemetry/sdk-trace";
import { attemptFacts, backend, requestEnd, requestFacts } from "../_support/observed-facts.ts";
import { exporter, observerWith, sentField, serve, spanOf } from "../_support/recorded-spans.ts";

const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const SPAN_ID = "b7ad6b7169203331";
const SAMPLED = `00-${TRACE_ID}-${SPAN_ID}-01`;
const NOT_SAMPLED = `00-${TRACE_ID}-${SPAN_ID}-00`;
const PUBLIC_PEER = "203.0.113.9";

afterEach(() => exporter.reset());

test("a request's span begins when the request did, as its metric does", () => {
  const startedAt = performance.now() - 60_000;
  const before = Date.now();
  const observer = observerWith();
  serve(observer, { startedAt });
  const { startTime, endTime } = spanOf(SpanKind.SERVER);
  const [startMs, endMs] = [startTime, endTime].map(([s, ns]) => s * 1000 + ns / 1e6);
  expect(before - startMs!).toBeGreaterThan(59_000);
  expect(endMs! - startMs!).toBeGreaterThanOrEqual(60_000);
  expect(endMs! - startMs!).toBeLessThanOrEqual(performance.now() - startedAt + 1);
});

describe("one request with one attempt", () => {
  test("gives a SERVER span and a CLIENT span below it, with what the conventions ask for", () => {
    const observer = observerWith();
    const request = observer.requestStarted(
      requestFacts({
        method: "POST",
        target: "/v1/cart?item=7",
        headers: { "user-agent": "curl/8" },
      }),
    );
    request?.routed("web", "shop.example/v1/*");
    const attempt = request?.attemptStarting(attemptFacts({ target: "/v1/cart?item=7" }));
    attempt?.connected(1.5);
    attempt?.responded(201);
    attempt?.ended({ outcome: "ok", status: 201, error: null });
    request?.ended(requestEnd({ status: 201, error: null }));

    const server = spanOf(SpanKind.SERVER);
    expect(server.name).toBe("POST /v1/*");
    expect(server.parentSpanContext).toBeUndefined();
    expect(server.status).toEqual({ code: SpanStatusCode.UNSET });
    expect(server.attributes).toEqual({
      "http.request.method": "POST",
      "url.path": "/v1/cart",
      "url.query": "item=7",
      "url.scheme": "http",
      "server.address": "shop.example",
      "server.port": 8080,
      "client.address": "127.0.0.1",
      "network.protocol.version": "1.1",
      "network.peer.address": "127.0.0.1",
      "user_agent.original": "curl/8",
      "http.route": "/v1/*",
      "http.response.status_code": 201,
      "leastwise.pool": "web",
    });

    const client = spanOf(SpanKind.CLIENT);
    expect(client.name).toBe("POST");
    expect(client.parentSpanContext?.spanId).toBe(server.spanContext().spanId);
    expect(client.spanContext().traceId).toBe(server.spanContext().traceId);
    expect(client.status).toEqual({ code: SpanStatusCode.UNSET });
    expect(client.attributes).toEqual({
      "http.request.method": "POST",
      "url.full": "http://shop.example:8080/v1/cart?item=7",
      "server.address": "shop.example",
      "server.port": 8080,
      "network.peer.address": "10.0.0.1",
      "network.peer.port": 3000,
      "network.protocol.version": "1.1",
      "http.response.status_code": 201,
      "leastwise.pool": "web",
      "leastwise.backend.id": "a",
      "leastwise.backend.in_flight": 7,
      "leastwise.strategy": "least-connections",
      "leastwise.strategy.version": "1a2b3c",
      "leastwise.candidates": 3,
      "leastwise.fallback": false,
      "leastwise.pick.duration_us": 250,
    });
    expect(client.events.map((event) => [event.name, event.attributes ?? {}])).toEqual([
      ["leastwise.connected", { "leastwise.connect.duration_ms": 1.5 }],
      ["leastwise.first_byte", {}],
    ]);
  });

  test("sends the CLIENT span's id to the backend", () => {
    const attempt = serve(observerWith(), {});
    const { traceId, spanId } = spanOf(SpanKind.CLIENT).spanContext();
    expect(sentField(attempt, "traceparent")).toBe(`00-${traceId}-${spanId}-01`);
  });

  test("ended twice is one span each, and the SDK has nothing to complain about", () => {
    const complaints: string[] = [];
    const complain = (message: string): void => void complaints.push(message);
    diag.setLogger({ error: complain, warn: complain, info() {}, debug() {}, verbose() {} });
    const observer = observerWith();
    const request = observer.requestStarted(requestFacts());
    const attempt = request?.attemptStarting(attemptFacts());
    for (const status of [200, 500]) {
      attempt?.ended({ outcome: "ok", status, error: null });
      request?.ended(requestEnd({ status, error: null }));
    }
    diag.disable();
    expect(spanOf(SpanKind.CLIENT).attributes["http.response.status_code"]).toBe(200);
    expect(spanOf(SpanKind.SERVER).attributes["http.response.status_code"]).toBe(200);
    expect(complaints).toEqual([]);
  });
});

test("a second attempt is a sibling that carries its count and its own id", () => {
  const observer = observerWith();
  const request = observer.requestStarted(requestFacts());
  const first = request?.attemptStarting(attemptFacts({ backend: backend("a") }));
  first?.ended({ outcome: "connect", status: null, error: "connect_refused" });
  const second = request?.attemptStarting(
    attemptFacts({ number: 2, retryReason: "connect", backend: backend("b") }),
  );
  second?.responded(200);
  second?.ended({ outcome: "ok", status: 200, error: null });
  request?.ended(requestEnd({ status: 200, error: null }));

  const server = spanOf(SpanKind.SERVER);
  const [one, two] = exporter.getFinishedSpans().filter((span) => span.kind === SpanKind.CLIENT);
  expect(one?.parentSpanContext?.spanId).toBe(server.spanContext().spanId);
  expect(two?.parentSpanContext?.spanId).toBe(server.spanContext().spanId);
  expect(one?.attributes).not.toContainKey("http.request.resend_count");
  expect(two?.attributes["http.request.resend_count"]).toBe(1);
  expect(one?.attributes).not.toContainKey("leastwise.retry.reason");
  expect(two?.attributes["leastwise.retry.reason"]).toBe("connect");
  expect(one?.attributes["error.type"]).toBe("connect_refused");
  expect(one?.attributes).not.toContainKey("http.response.status_code");
  expect(one?.status.code).toBe(SpanStatusCode.ERROR);
  expect(two?.attributes["leastwise.backend.id"]).toBe("b");
  expect(sentField(first ?? null, "traceparent")).toContain(one?.spanContext().spanId ?? "?");
  expect(sentField(second ?? null, "traceparent")).toContain(two?.spanContext().spanId ?? "?");
  expect(server.status.code).toBe(SpanStatusCode.UNSET);
});

describe("status and error.type", () => {
  const cases = [
    { situation: "302", end: { status: 302 }, server: null, client: null },
    { situation: "404 by the backend", end: { status: 404 }, server: null, client: "404" },
    { situation: "503 by the backend", end: { status: 503 }, server: "503", client: "503" },
    {
      situation: "no answer by the backend",
      end: { status: null, outcome: "timeout", error: "first_byte_timeout" },
      server: "first_byte_timeout",
      client: "first_byte_timeout",
    },
    {
      situation: "a body that broke after 200",
      end: { status: 200, outcome: "truncated", error: "reset" },
      server: "reset",
      client: "reset",
    },
    {
      situation: "a body that broke after 404",
      end: { status: 404, outcome: "truncated", error: "reset" },
      server: "reset",
      client: "reset",
    },
    {
      situation: "a client that went away before the head",
      end: { status: null, outcome: "client_gone", error: "client_gone" },
      server: null,
      client: null,
    },
    {
      situation: "a client that went away within the body",
      end: { status: 200, outcome: "client_gone", error: "client_gone" },
      server: null,
      client: null,
    },
    {
      situation: "an attempt that we gave up for a reason of ours",
      end: { status: null, outcome: "client_gone", error: "internal_error" },
      server: "internal_error",
      client: "internal_error",
    },
    {
      situation: "a client that stopped sending its body",
      end: { status: null, outcome: "client_gone", error: "body_timeout" },
      server: null,
      client: null,
    },
    {
      situation: "a client that went away within the body of a 500",
      end: { status: 500, outcome: "client_gone", error: "client_gone" },
      server: "500",
      client: "500",
    },
  ] as const;

  test.each(cases)("$situation", ({ end, server, client }) => {
    serve(observerWith(), {}, end);
    for (const [kind, errorType] of [
      [SpanKind.SERVER, server],
      [SpanKind.CLIENT, client],
    ] as const) {
      const span = spanOf(kind);
      expect(span.attributes["error.type"]).toBe(errorType ?? undefined);
      expect(span.status).toEqual({
        code: errorType === null ? SpanStatusCode.UNSET : SpanStatusCode.ERROR,
      });
      expect(span.attributes["http.response.status_code"]).toBe(end.status ?? undefined);
    }
  });

  test.each([
    ["bad_request", 400, null],
    ["no_route", 404, null],
    ["body_too_large", 413, null],
    ["body_timeout", 408, null],
    ["no_backend_available", 503, "no_backend_available"],
    ["method_not_supported", 501, "method_not_supported"],
  ] as const)("our own answer %s has no CLIENT span", (error, status, errorType) => {
    const request = observerWith().requestStarted(requestFacts());
    request?.ended(requestEnd({ status, error }));
    expect(exporter.getFinishedSpans()).toHaveLength(1);
    const span = spanOf(SpanKind.SERVER);
    expect(span.attributes["error.type"]).toBe(errorType ?? undefined);
    expect(span.status.code).toBe(errorType === null ? SpanStatusCode.UNSET : SpanStatusCode.ERROR);
  });
});

describe("names", () => {
  test("an unknown method is _OTHER, and the name is HTTP", () => {
    serve(observerWith(), { method: "BREW" });
    for (const kind of [SpanKind.SERVER, SpanKind.CLIENT]) {
      const span = spanOf(kind);
      expect(span.name).toBe("HTTP");
      expect(span.attributes["http.request.method"]).toBe("_OTHER");
      expect(span.attributes["http.request.method_original"]).toBe("BREW");
    }
  });

  test("a lower-case method is not the known one", () => {
    serve(observerWith(), { method: "get" });
    expect(spanOf(SpanKind.SERVER).name).toBe("HTTP");
  });

  test("without a route neither name nor http.route holds the path", () => {
    serve(observerWith(), { target: "/users/42" });
    const span = spanOf(SpanKind.SERVER);
    expect(span.name).toBe("GET");
    expect(span.attributes).not.toContainKey("http.route");
  });

  test("a route by host alone has no http.route", () => {
    const request = observerWith().requestStarted(requestFacts());
    request?.routed("web", "*.example.com");
    request?.ended(requestEnd({ status: 200, error: null }));
    expect(spanOf(SpanKind.SERVER).name).toBe("GET");
    expect(spanOf(SpanKind.SERVER).attributes).not.toContainKey("http.route");
  });

  test("signatures in the query are redacted on both spans", () => {
    const target = "/o?a=1&X-Amz-Signature=s3cret&sig=s3cret";
    const observer = observerWith();
    const request = observer.requestStarted(requestFacts({ target }));
    const attempt = request?.attemptStarting(attemptFacts({ target }));
    attempt?.ended({ outcome: "ok", status: 200, error: null });
    request?.ended(requestEnd({ status: 200, error: null }));
    expect(spanOf(SpanKind.SERVER).attributes["url.query"]).toBe(
      "a=1&X-Amz-Signature=REDACTED&sig=REDACTED",
    );
    expect(spanOf(SpanKind.CLIENT).attributes["url.full"]).toBe(
      "http://shop.example:8080/o?a=1&X-Amz-Signature=REDACTED&sig=REDACTED",
    );
  });
});

describe("where the attempt goes", () => {
  function peerAttributes(url: string): (string | number)[] {
    const observer = observerWith();
    const request = observer.requestStarted(requestFacts());
    const facts = attemptFacts({ backend: backend("x", url), host: "[2001:db8::1]" });
    request?.attemptStarting(facts)?.ended({ outcome: "ok", status: 200, error: null });
    const { attributes } = spanOf(SpanKind.CLIENT);
    return ["network.peer.address", "network.peer.port", "server.address", "server.port"].map(
      (name) => String(attributes[name] ?? ""),
    );
  }

  test("an IPv6 backend, and a Host that is an IPv6 address without a port", () => {
    expect(peerAttributes("http://[::1]:3000")).toEqual(["::1", "3000", "2001:db8::1", "80"]);
  });

  test("a unix socket is named by its path", () => {
    expect(peerAttributes("unix:/run/app.sock")).toEqual([
      "/run/app.sock",
      "",
      "2001:db8::1",
      "80",
    ]);
  });

  test("a backend by host name has no peer address, for it is not resolved yet", () => {
    expect(peerAttributes("http://api.internal:3000")).toEqual(["", "", "2001:db8::1", "80"]);
  });
});

describe("trace context of a request", () => {
  test.each(["127.0.0.1", "10.1.2.3", "::1", "fd00::1", "::ffff:192.168.0.7", ""])(
    "from the private peer %p is continued, and its tracestate and baggage go on",
    (peerAddress) => {
      const attempt = serve(observerWith(), {
        peerAddress,
        headers: { traceparent: SAMPLED, tracestate: "vendor=1", baggage: "user=7" },
      });
      const server = spanOf(SpanKind.SERVER);
      const client = spanOf(SpanKind.CLIENT);
      expect(server.spanContext().traceId).toBe(TRACE_ID);
      expect(server.parentSpanContext?.spanId).toBe(SPAN_ID);
      expect(server.links).toEqual([]);
      expect(server.spanContext().traceState?.serialize()).toBe("vendor=1");
      expect(sentField(attempt, "traceparent")).toBe(
        `00-${TRACE_ID}-${client.spanContext().spanId}-01`,
      );
      expect(attempt?.headers).toHaveLength(1);
      expect(attempt?.removed).toEqual([]);
    },
  );

  test.each([PUBLIC_PEER, "2001:db8::9", "::ffff:203.0.113.9", "172.32.0.1"])(
    "from the public peer %p starts a new trace, linked, without tracestate and baggage",
    (peerAddress) => {
      const attempt = serve(observerWith(), {
        peerAddress,
        headers: { traceparent: SAMPLED, tracestate: "vendor=1", baggage: "user=7" },
      });
      const server = spanOf(SpanKind.SERVER);
      const { traceId, traceState } = server.spanContext();
      expect(traceId).not.toBe(TRACE_ID);
      expect(traceState).toBeUndefined();
      expect(server.parentSpanContext).toBeUndefined();
      expect(server.links.map(({ context }) => [context.traceId, context.spanId])).toEqual([
        [TRACE_ID, SPAN_ID],
      ]);
      const client = spanOf(SpanKind.CLIENT).spanContext();
      expect(sentField(attempt, "traceparent")).toBe(`00-${traceId}-${client.spanId}-01`);
      expect(attempt?.removed).toEqual(["tracestate", "baggage"]);
    },
  );

  test("that is not sampled by a public peer does not switch our sampling off", () => {
    serve(observerWith(), { peerAddress: PUBLIC_PEER, headers: { traceparent: NOT_SAMPLED } });
    expect(exporter.getFinishedSpans()).toHaveLength(2);
  });

  test.each([
    ["the forbidden version", `ff-${TRACE_ID}-${SPAN_ID}-01`],
    ["an all-zero trace id", `00-${"0".repeat(32)}-${SPAN_ID}-01`],
    ["an all-zero span id", `00-${TRACE_ID}-${"0".repeat(16)}-01`],
    ["upper-case digits", SAMPLED.toUpperCase()],
    ["more than version 00 allows", `${SAMPLED}-xyz`],
    ["two fields in one", `${SAMPLED}, ${SAMPLED}`],
    ["nothing", ""],
  ])("with %s is none: a new trace, no link, and its tracestate is dropped", (_, traceparent) => {
    const attempt = serve(observerWith(), {
      headers: { traceparent, tracestate: "vendor=1", baggage: "user=7" },
    });
    const server = spanOf(SpanKind.SERVER);
    expect(server.spanContext().traceId).not.toBe(TRACE_ID);
    expect(server.parentSpanContext).toBeUndefined();
    expect(server.links).toEqual([]);
    expect(attempt?.removed).toEqual(["tracestate"]);
  });

  test("of a later version with more in it is read as far as we know it", () => {
    serve(observerWith(), { headers: { traceparent: `cc-${TRACE_ID}-${SPAN_ID}-01-future` } });
    expect(spanOf(SpanKind.SERVER).parentSpanContext?.spanId).toBe(SPAN_ID);
  });

  test("is left alone when propagation is off", () => {
    const attempt = serve(observerWith({ propagate: false }), {
      headers: { traceparent: SAMPLED, tracestate: "vendor=1" },
    });
    expect(spanOf(SpanKind.SERVER).spanContext().traceId).not.toBe(TRACE_ID);
    expect(attempt?.headers).toEqual([]);
    expect(attempt?.removed).toEqual([]);
  });
});

describe("not sampled", () => {
  const never = { sampler: new AlwaysOffSampler() };

  test("by a trusted sender: not observed, so its context goes on untouched", () => {
    const observer = observerWith();
    expect(
      observer.requestStarted(requestFacts({ headers: { traceparent: NOT_SAMPLED } })),
    ).toBeNull();
    expect(exporter.getFinishedSpans()).toHaveLength(0);
  });

  test("with sampling off: a trusted sender's sampled context goes on untouched", () => {
    const observer = observerWith(never);
    expect(observer.requestStarted(requestFacts({ headers: { traceparent: SAMPLED } }))).toBeNull();
  });

  test("a new trace: backends are told, and nothing is recorded", () => {
    const observer = observerWith({
      sampler: new ParentBasedSampler({ root: new AlwaysOffSampler() }),
    });
    const attempt = serve(observer, {});
    expect(sentField(attempt, "traceparent")).toMatch(
      /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-00$/,
    );
    expect(exporter.getFinishedSpans()).toHaveLength(0);
  });

  test("from a public peer: a new trace id, and tracestate and baggage go no further", () => {
    const attempt = serve(observerWith(never), {
      peerAddress: PUBLIC_PEER,
      headers: { traceparent: SAMPLED, tracestate: "vendor=1", baggage: "user=7" },
    });
    expect(sentField(attempt, "traceparent")).toEndWith("-00");
    expect(sentField(attempt, "traceparent")).not.toContain(TRACE_ID);
    expect(attempt?.removed).toEqual(["tracestate", "baggage"]);
  });
});

test.each([
  [true, "https", "shop.example", 443],
  [false, "http", "10.0.0.9", 8080],
])(
  "what the client asked the outermost proxy for is in the span if the peer is trusted: %p",
  (trustedPeer, scheme, address, port) => {
    serve(observerWith(), {
      trustedPeer,
      host: "10.0.0.9:8080",
      headers: { "x-forwarded-host": "shop.example", "x-forwarded-proto": "https" },
    });
    expect(spanOf(SpanKind.SERVER).attributes).toMatchObject({
      "url.scheme": scheme,
      "server.address": address,
      "server.port": port,
    });
  },
);
