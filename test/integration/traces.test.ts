/** One trace per request of a real leastwise, as a collector receives it: spans, kinds, statuses, attributes. */
import { describe, expect, test } from "bun:test";
import { connectRaw } from "../_support/raw-client.ts";
import { calmly, traceOf, traceparentOf, useTracing } from "../_support/traced-proxy.ts";

const { backend, deadBackend, collector, tracedProxy } = useTracing();

test.each(["http/protobuf", "http/json"])(
  "a request that goes well: its span, and its attempt's below it (%s)",
  async (protocol) => {
    const receiver = collector();
    const server = backend(() => ({ status: 201, body: "made" }));
    const proxy = await tracedProxy(receiver, {
      ...calmly([server.url]),
      env: { OTEL_EXPORTER_OTLP_PROTOCOL: protocol },
    });
    const response = await fetch(`${proxy.url}/cart?item=7&sig=s3cret`, {
      method: "POST",
      body: "one",
      headers: { "user-agent": "test/1" },
    });
    expect(response.status).toBe(201);
    await response.text();

    const trace = traceOf(await receiver.spans(2));
    expect(trace.server).toMatchObject({
      name: "POST",
      parentSpanId: "",
      status: { code: "UNSET", message: "" },
      links: [],
      resource: { "service.name": "leastwise" },
    });
    expect(trace.server.attributes).toEqual({
      "http.request.method": "POST",
      "url.path": "/cart",
      "url.query": "item=7&sig=REDACTED",
      "url.scheme": "http",
      "server.address": "127.0.0.1",
      "server.port": proxy.port,
      "client.address": "127.0.0.1",
      "network.peer.address": "127.0.0.1",
      "network.protocol.version": "1.1",
      "user_agent.original": "test/1",
      "http.response.status_code": 201,
      "leastwise.pool": "web",
    });
    const [attempt] = trace.attempts;
    expect(attempt).toMatchObject({ name: "POST", status: { code: "UNSET", message: "" } });
    const { "leastwise.pick.duration_us": pick, ...attributes } = attempt?.attributes ?? {};
    expect(pick).toBeNumber();
    expect(attributes).toEqual({
      "http.request.method": "POST",
      "url.full": `${proxy.url}/cart?item=7&sig=REDACTED`,
      "server.address": "127.0.0.1",
      "server.port": proxy.port,
      "network.peer.address": "127.0.0.1",
      "network.peer.port": server.port,
      "network.protocol.version": "1.1",
      "http.response.status_code": 201,
      "leastwise.pool": "web",
      "leastwise.backend.id": `127.0.0.1:${server.port}`,
      "leastwise.backend.in_flight": 0,
      "leastwise.strategy": "least-connections",
      "leastwise.strategy.version": expect.any(String),
      "leastwise.candidates": 1,
      "leastwise.ejected_count": 0,
      "leastwise.fallback": false,
    });
    expect(attempt?.events.map(({ name }) => name)).toEqual([
      "leastwise.decision",
      "leastwise.connected",
      "leastwise.first_byte",
    ]);
    expect(server.requests.map((request) => request.header("traceparent"))).toEqual([
      traceparentOf(attempt!),
    ]);
  },
);

test("a request without a route has a span of its own", async () => {
  const receiver = collector();
  const proxy = await tracedProxy(receiver, {
    config: {
      workers: 1,
      pools: { web: { backends: [backend().url], health: false } },
      routes: [{ path: "/v1/*", pool: "web" }],
    },
  });
  expect((await fetch(`${proxy.url}/v2/x`)).status).toBe(404);
  expect((await fetch(`${proxy.url}/v1/x`)).status).toBe(200);
  const spans = await receiver.spans(3);
  const [lost, found] = ["/v2/x", "/v1/x"].map((path) =>
    spans.find((span) => span.attributes["url.path"] === path),
  );
  expect(lost).toMatchObject({ name: "GET", kind: "SERVER", status: { code: "UNSET" } });
  expect(lost?.attributes).not.toContainKey("error.type");
  expect(found).toMatchObject({ name: "GET /v1/*", kind: "SERVER" });
  expect(found?.attributes["http.route"]).toBe("/v1/*");
});

describe("what is an error", () => {
  test("a 4xx of a backend: of the attempt, not of the request", async () => {
    const receiver = collector();
    const proxy = await tracedProxy(receiver, calmly([backend(() => ({ status: 404 })).url]));
    expect((await fetch(proxy.url)).status).toBe(404);
    const { server, attempts } = traceOf(await receiver.spans(2));
    expect(server.status.code).toBe("UNSET");
    expect(server.attributes).not.toContainKey("error.type");
    expect(attempts[0]?.status).toEqual({ code: "ERROR", message: "" });
    expect(attempts[0]?.attributes["error.type"]).toBe("404");
  });

  test("a response that breaks off: of both", async () => {
    const receiver = collector();
    const breaking = backend(async (_, wire) => {
      await wire.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
      await wire.write("x".repeat(600_000));
      wire.reset();
    });
    const proxy = await tracedProxy(receiver, calmly([breaking.url]));
    const response = await fetch(proxy.url);
    await expect(response.bytes()).rejects.toThrow();
    for (const span of await receiver.spans(2)) {
      expect(span.status).toEqual({ code: "ERROR", message: "" });
      expect(span.attributes["error.type"]).toBe("reset");
      expect(span.attributes["http.response.status_code"]).toBe(200);
    }
  });

  test("a backend that does not answer in time: of both, and the client gets 504", async () => {
    const receiver = collector();
    const silent = backend(() => null);
    const proxy = await tracedProxy(
      receiver,
      calmly([silent.url], { timeouts: { firstByte: "60ms" } }),
    );
    expect((await fetch(proxy.url)).status).toBe(504);
    const { server, attempts } = traceOf(await receiver.spans(2));
    for (const span of [server, ...attempts]) {
      expect(span.status).toEqual({ code: "ERROR", message: "" });
      expect(span.attributes["error.type"]).toBe("first_byte_timeout");
    }
    expect(server.attributes["http.response.status_code"]).toBe(504);
    expect(attempts[0]?.attributes).not.toContainKey("http.response.status_code");
    expect(attempts[0]?.events.map(({ name }) => name)).not.toContain("leastwise.first_byte");
  });

  test("no backend that can be reached: of every attempt and of the request", async () => {
    const receiver = collector();
    const proxy = await tracedProxy(receiver, calmly([deadBackend().url, deadBackend().url]));
    expect((await fetch(proxy.url)).status).toBe(502);
    const { server, attempts } = traceOf(await receiver.spans(3));
    for (const span of [server, ...attempts]) {
      expect(span.status).toEqual({ code: "ERROR", message: "" });
      expect(span.attributes["error.type"]).toBe("connect_refused");
    }
    expect(server.attributes["http.response.status_code"]).toBe(502);
    expect(attempts.map((span) => span.attributes["http.request.resend_count"])).toEqual([
      undefined,
      1,
    ]);
  });

  test("no backend that probes find well: of the request, which has no attempt", async () => {
    const receiver = collector();
    const dead = deadBackend();
    const proxy = await tracedProxy(receiver, calmly([dead.url], { health: { path: "/ok" } }));
    await proxy.until("the backend down", ([pool]) => pool?.backends[0]?.health === "unhealthy");
    expect((await fetch(proxy.url)).status).toBe(503);
    // Probes have no spans, or there would be more by now.
    const { server, attempts } = traceOf(await receiver.spans(1));
    expect(attempts).toEqual([]);
    expect(server.status).toEqual({ code: "ERROR", message: "" });
    expect(server.attributes).toMatchObject({
      "error.type": "no_backend_available",
      "http.response.status_code": 503,
    });
  });
});

describe("a client that goes away is nobody's error", () => {
  test("before the answer", async () => {
    const receiver = collector();
    const silent = backend(() => null);
    const proxy = await tracedProxy(receiver, calmly([silent.url]));
    const abort = new AbortController();
    const answer = fetch(proxy.url, { signal: abort.signal });
    await silent.seen(1);
    abort.abort();
    await expect(answer).rejects.toThrow();
    const { server, attempts } = traceOf(await receiver.spans(2));
    for (const span of [server, ...attempts]) {
      expect(span.status.code).toBe("UNSET");
      expect(span.attributes).not.toContainKey("error.type");
      expect(span.attributes).not.toContainKey("http.response.status_code");
    }
  });

  test("in the middle of it", async () => {
    const receiver = collector();
    const endless = backend(async (_, wire) => {
      await wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    });
    const proxy = await tracedProxy(receiver, calmly([endless.url]));
    const response = await fetch(proxy.url);
    const reader = response.body!.getReader();
    await reader.read();
    await reader.cancel();
    const { server, attempts } = traceOf(await receiver.spans(2));
    for (const span of [server, ...attempts]) {
      expect(span.status.code).toBe("UNSET");
      expect(span.attributes).not.toContainKey("error.type");
      expect(span.attributes["http.response.status_code"]).toBe(200);
    }
  });
});

test("a request's span lasts until the body has been sent, its attempt's within it", async () => {
  const receiver = collector();
  const goOn = Promise.withResolvers<void>();
  const slow = backend(async (_, wire) => {
    await wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    await goOn.promise;
    await wire.write("3\r\ntwo\r\n0\r\n\r\n");
  });
  const proxy = await tracedProxy(receiver, calmly([slow.url]));
  const client = await connectRaw(proxy.port);
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await client.until((text) => text.includes("one"));
  // From when the proxy has had the beginning for certain.
  await Bun.sleep(80);
  goOn.resolve();
  await client.until((text) => text.includes("two"));
  client.end();
  const { server, attempts } = traceOf(await receiver.spans(2));
  const [attempt] = attempts;
  const head = attempt!.events.find(({ name }) => name === "leastwise.first_byte")!;
  expect(server.startNs).toBeLessThanOrEqual(attempt!.startNs);
  expect(attempt!.endNs - head.timeNs).toBeGreaterThan(60_000_000n);
  expect(server.endNs).toBeGreaterThanOrEqual(attempt!.endNs);
});

test("two workers send their own spans, each trace whole", async () => {
  const receiver = collector();
  const server = backend();
  const proxy = await tracedProxy(receiver, {
    config: { ...calmly([server.url]).config, workers: 2 },
  });
  const requests = 60;
  for (let i = 0; i < requests; i++) {
    // A new connection each time: the kernel spreads connections, not requests.
    await (await fetch(proxy.url, { headers: { connection: "close" }, keepalive: false })).text();
  }
  const spans = await receiver.spans(requests * 2);
  const traces = [...Map.groupBy(spans, ({ traceId }) => traceId).values()].map(traceOf);
  expect(traces).toHaveLength(requests);
  expect(traces.map(({ attempts }) => traceparentOf(attempts[0]!)).sort()).toEqual(
    server.requests.map((request) => request.header("traceparent") ?? "").sort(),
  );
  // Begins with the process that made it.
  const workers = server.requests.map((request) => request.header("x-request-id")?.split("-")[0]);
  expect(new Set(workers).size).toBe(2);
});
