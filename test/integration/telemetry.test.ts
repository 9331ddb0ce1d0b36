/** Traces of a real leastwise (compiled binary), as a collector receives them. */
import { afterEach, expect, test } from "bun:test";
import { leastwiseBinary } from "../_support/binary.ts";
import { type FakeBackend, startFakeBackend } from "../_support/fake-backend.ts";
import { OtlpReceiver, type ReceivedSpan } from "../_support/otlp-receiver.ts";
import { type Proxy, type ProxyOptions, startProxy } from "../_support/proxy.ts";

const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const PARENT_ID = "b7ad6b7169203331";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

function collector(): OtlpReceiver {
  const receiver = new OtlpReceiver();
  cleanups.push(() => receiver[Symbol.dispose]());
  return receiver;
}

function backendOn(...how: Parameters<typeof startFakeBackend>): FakeBackend {
  const backend = startFakeBackend(...how);
  cleanups.push(() => backend.stop());
  return backend;
}

/** A port on which nobody listens. */
function deadUrl(): string {
  const backend = startFakeBackend();
  backend.stop();
  return backend.url;
}

async function tracedProxy(
  receiver: OtlpReceiver | null,
  backends: readonly string[],
  options: { workers?: number; strategy?: string; env?: Record<string, string> } = {},
): Promise<Proxy> {
  const config = {
    workers: options.workers ?? 1,
    pools: {
      web: {
        backends: [...backends],
        strategy: options.strategy ?? "least-connections",
        health: false,
        ejection: false,
      },
    },
  } satisfies ProxyOptions["config"];
  const endpoint = receiver === null ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint };
  const proxy = await startProxy({
    config,
    env: { OTEL_BSP_SCHEDULE_DELAY: "20", ...endpoint, ...options.env },
  });
  cleanups.push(() => proxy.stop());
  return proxy;
}

function serverOf(spans: readonly ReceivedSpan[]): ReceivedSpan {
  const servers = spans.filter((span) => span.kind === "SERVER");
  expect(servers).toHaveLength(1);
  return servers[0]!;
}

function traceparentOf(span: ReceivedSpan): string {
  return `00-${span.traceId}-${span.spanId}-01`;
}

test.each(["http/protobuf", "http/json"])(
  "a request continues its sender's trace, and the backend continues ours (%s)",
  async (protocol) => {
    const receiver = collector();
    const backend = backendOn(() => ({ status: 201, body: "made" }));
    const proxy = await tracedProxy(receiver, [backend.url], {
      env: { OTEL_EXPORTER_OTLP_PROTOCOL: protocol },
    });
    const response = await fetch(`${proxy.url}/cart?item=7`, {
      method: "POST",
      body: "one",
      headers: {
        traceparent: `00-${TRACE_ID}-${PARENT_ID}-01`,
        tracestate: "vendor=1",
        baggage: "user=7",
      },
    });
    expect(response.status).toBe(201);
    await response.text();

    const spans = await receiver.spans(2);
    expect(spans).toHaveLength(2);
    const server = serverOf(spans);
    const client = spans.find((span) => span.kind === "CLIENT")!;
    expect(server).toMatchObject({
      name: "POST",
      traceId: TRACE_ID,
      parentSpanId: PARENT_ID,
      traceState: "vendor=1",
      status: { code: "UNSET" },
      resource: { "service.name": "leastwise" },
    });
    expect(server.attributes).toMatchObject({
      "http.request.method": "POST",
      "url.path": "/cart",
      "url.query": "item=7",
      "url.scheme": "http",
      "server.address": "127.0.0.1",
      "server.port": proxy.port,
      "client.address": "127.0.0.1",
      "http.response.status_code": 201,
    });
    expect(client).toMatchObject({
      name: "POST",
      traceId: TRACE_ID,
      parentSpanId: server.spanId,
      status: { code: "UNSET" },
    });
    expect(client.attributes).toMatchObject({
      "url.full": `${proxy.url}/cart?item=7`,
      "network.peer.address": "127.0.0.1",
      "network.peer.port": backend.port,
      "http.response.status_code": 201,
      "leastwise.pool": "web",
      "leastwise.backend.id": `127.0.0.1:${backend.port}`,
      "leastwise.backend.in_flight": 0,
      "leastwise.strategy": "least-connections",
      "leastwise.candidates": 1,
      "leastwise.fallback": false,
    });
    expect(client.attributes["leastwise.strategy.version"]).toBeString();
    expect(client.events.map(({ name }) => name)).toEqual([
      "leastwise.connected",
      "leastwise.first_byte",
    ]);
    const [request] = backend.requests;
    expect(request?.header("traceparent")).toBe(traceparentOf(client));
    expect(request?.header("tracestate")).toBe("vendor=1");
    expect(request?.header("baggage")).toBe("user=7");
  },
);

test("a request that moves on to another backend has a span for each attempt", async () => {
  const receiver = collector();
  const backend = backendOn();
  const dead = deadUrl();
  const proxy = await tracedProxy(receiver, [dead, backend.url], { strategy: "round-robin" });
  // Two backends in turn: one of two requests begins with the dead one.
  for (let i = 0; i < 2; i++) expect((await fetch(proxy.url)).status).toBe(200);

  const spans = await receiver.spans(5);
  expect(spans).toHaveLength(5);
  const failed = spans.find((span) => span.attributes["error.type"] === "connect_refused")!;
  expect(failed).toMatchObject({ kind: "CLIENT", status: { code: "ERROR", message: "" } });
  const trace = spans.filter((span) => span.traceId === failed.traceId);
  const server = serverOf(trace);
  expect(server.status.code).toBe("UNSET");
  const retried = trace.find((span) => span.attributes["http.request.resend_count"] === 1)!;
  expect(trace).toHaveLength(3);
  expect(retried).toMatchObject({
    kind: "CLIENT",
    parentSpanId: server.spanId,
    status: { code: "UNSET" },
  });
  expect(failed.parentSpanId).toBe(server.spanId);
  expect(retried.attributes["leastwise.backend.id"]).toBe(`127.0.0.1:${backend.port}`);
  expect(failed.attributes["leastwise.backend.id"]).toBe(new URL(dead).host);
  expect(backend.requests.map((request) => request.header("traceparent"))).toContain(
    traceparentOf(retried),
  );
});

test("with no backend to be reached the request's span is an error too", async () => {
  const receiver = collector();
  const proxy = await tracedProxy(receiver, [deadUrl()]);
  expect((await fetch(proxy.url)).status).toBe(502);
  const spans = await receiver.spans(2);
  for (const span of spans) {
    expect(span.status).toEqual({ code: "ERROR", message: "" });
    expect(span.attributes["error.type"]).toBe("connect_refused");
  }
  expect(serverOf(spans).attributes["http.response.status_code"]).toBe(502);
});

test("4xx of a backend is an error of the attempt, not of the request", async () => {
  const receiver = collector();
  const proxy = await tracedProxy(receiver, [backendOn(() => ({ status: 404 })).url]);
  expect((await fetch(proxy.url)).status).toBe(404);
  const spans = await receiver.spans(2);
  expect(serverOf(spans).status.code).toBe("UNSET");
  expect(serverOf(spans).attributes).not.toContainKey("error.type");
  const client = spans.find((span) => span.kind === "CLIENT")!;
  expect(client.status.code).toBe("ERROR");
  expect(client.attributes["error.type"]).toBe("404");
});

test("a response that breaks off is an error of both", async () => {
  const receiver = collector();
  const backend = backendOn(async (_, wire) => {
    await wire.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    await wire.write("x".repeat(600_000));
    wire.reset();
  });
  const proxy = await tracedProxy(receiver, [backend.url]);
  const response = await fetch(proxy.url);
  await expect(response.bytes()).rejects.toThrow();
  for (const span of await receiver.spans(2)) {
    expect(span.status.code).toBe("ERROR");
    expect(span.attributes["error.type"]).toBe("reset");
    expect(span.attributes["http.response.status_code"]).toBe(200);
  }
});

test("a client that goes away is nobody's error", async () => {
  const receiver = collector();
  const backend = backendOn(() => null);
  const proxy = await tracedProxy(receiver, [backend.url]);
  const abort = new AbortController();
  const answer = fetch(proxy.url, { signal: abort.signal });
  await backend.seen(1);
  abort.abort();
  await expect(answer).rejects.toThrow();
  const spans = await receiver.spans(2);
  expect(spans).toHaveLength(2);
  for (const span of spans) {
    expect(span.status.code).toBe("UNSET");
    expect(span.attributes).not.toContainKey("error.type");
    expect(span.attributes).not.toContainKey("http.response.status_code");
  }
});

test("a request without a route has a span of its own", async () => {
  const receiver = collector();
  const backend = backendOn();
  const proxy = await startProxy({
    config: {
      workers: 1,
      pools: { web: { backends: [backend.url], health: false } },
      routes: [{ path: "/v1/*", pool: "web" }],
    },
    env: { OTEL_BSP_SCHEDULE_DELAY: "20", OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint },
  });
  cleanups.push(() => proxy.stop());
  expect((await fetch(`${proxy.url}/v2/x`)).status).toBe(404);
  expect((await fetch(`${proxy.url}/v1/x`)).status).toBe(200);
  const spans = await receiver.spans(3);
  const [lost, found] = ["/v2/x", "/v1/x"].map((path) =>
    spans.find((span) => span.attributes["url.path"] === path),
  );
  expect(lost).toMatchObject({ name: "GET", kind: "SERVER", status: { code: "UNSET" } });
  expect(found).toMatchObject({ name: "GET /v1/*", kind: "SERVER" });
  expect(found?.attributes["http.route"]).toBe("/v1/*");
});

test("what the sender did not sample is passed on untouched and not exported", async () => {
  const receiver = collector();
  const backend = backendOn();
  const proxy = await tracedProxy(receiver, [backend.url]);
  const traceparent = `00-${TRACE_ID}-${PARENT_ID}-00`;
  await (await fetch(proxy.url, { headers: { traceparent, tracestate: "vendor=1" } })).text();
  await (await fetch(`${proxy.url}/marker`)).text();
  expect(backend.requests[0]?.header("traceparent")).toBe(traceparent);
  expect(backend.requests[0]?.header("tracestate")).toBe("vendor=1");
  await receiver.spans(2);
  await proxy.stop();
  const spans = await receiver.spans(2);
  expect(spans.map((span) => span.traceId)).not.toContain(TRACE_ID);
  expect(spans).toHaveLength(2);
});

test("without an endpoint the sender's context is passed on untouched", async () => {
  const backend = backendOn();
  const proxy = await tracedProxy(null, [backend.url]);
  const traceparent = `00-${TRACE_ID}-${PARENT_ID}-01`;
  await (await fetch(proxy.url, { headers: { traceparent, baggage: "user=7" } })).text();
  await (await fetch(proxy.url)).text();
  expect(backend.requests.map((request) => request.header("traceparent"))).toEqual([
    traceparent,
    null,
  ]);
  expect(backend.requests[0]?.header("baggage")).toBe("user=7");
});

test("two workers send their own spans, each trace whole", async () => {
  const receiver = collector();
  const backend = backendOn();
  const proxy = await tracedProxy(receiver, [backend.url], { workers: 2 });
  const requests = 60;
  for (let i = 0; i < requests; i++) {
    // A new connection each time: the kernel spreads connections, not requests.
    await (await fetch(proxy.url, { headers: { connection: "close" }, keepalive: false })).text();
  }
  const spans = await receiver.spans(requests * 2);
  expect(spans).toHaveLength(requests * 2);
  const instances = new Set(spans.map((span) => span.resource["service.instance.id"]));
  expect(instances.size).toBe(2);
  const clients = new Map(
    spans.filter((span) => span.kind === "CLIENT").map((span) => [span.parentSpanId, span]),
  );
  for (const server of spans.filter((span) => span.kind === "SERVER")) {
    expect(clients.get(server.spanId)?.traceId).toBe(server.traceId);
  }
  expect(backend.requests.map((request) => request.header("traceparent")).sort()).toEqual(
    [...clients.values()].map(traceparentOf).sort(),
  );
});

test("spans that were not sent yet are sent at the stop", async () => {
  const receiver = collector();
  const proxy = await tracedProxy(receiver, [backendOn().url], {
    env: { OTEL_BSP_SCHEDULE_DELAY: "600000" },
  });
  await (await fetch(proxy.url)).text();
  expect(await proxy.stop()).toBe(0);
  expect(await receiver.spans(2)).toHaveLength(2);
});

test("a protocol that is not supported stops the start, and check finds it too", async () => {
  for (const command of ["serve", "check"]) {
    const child = Bun.spawn([await leastwiseBinary(), command, "--backend", "http://127.0.0.1:9"], {
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4317",
        OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
      },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    cleanups.push(() => child.kill());
    const [said, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
    expect(code, said).toBe(2);
    expect(said).toContain("set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, port 4318");
    expect(said).not.toContain("    at ");
  }
});

test("a collector that refuses is reported once, and requests are served", async () => {
  const receiver = collector();
  receiver.status = 400;
  const backend = backendOn();
  const proxy = await tracedProxy(receiver, [backend.url]);
  for (let exports = 1; exports <= 3; exports++) {
    expect((await fetch(proxy.url)).status).toBe(200);
    await receiver.answered(exports);
  }
  expect(await proxy.stop()).toBe(0);
  expect(proxy.log().match(/spans cannot be exported/g)).toHaveLength(1);
});
