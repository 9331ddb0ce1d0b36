/** What becomes of the trace context that a client sends. */
import { describe, expect, test } from "bun:test";
import type { FakeBackend } from "../_support/fake-backend.ts";
import { calmly, traceOf, traceparentOf, useTracing } from "../_support/traced-proxy.ts";

const { backend, collector, tracedProxy } = useTracing();

const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const PARENT_ID = "b7ad6b7169203331";
const SENT = {
  traceparent: `00-${TRACE_ID}-${PARENT_ID}-01`,
  tracestate: "vendor=1",
  baggage: "user=7",
};

/** Of each request, the three fields as the backend got them. */
function seenBy(server: FakeBackend): (string | null)[][] {
  return server.requests.map((request) =>
    ["traceparent", "tracestate", "baggage"].map((name) => request.header(name) ?? null),
  );
}

test("of a private peer is continued, and the backend continues ours", async () => {
  const receiver = collector();
  const server = backend();
  const proxy = await tracedProxy(receiver, calmly([server.url]));
  await (await fetch(proxy.url, { headers: SENT })).text();
  const trace = traceOf(await receiver.spans(2));
  expect(trace.server).toMatchObject({
    traceId: TRACE_ID,
    parentSpanId: PARENT_ID,
    traceState: "vendor=1",
    links: [],
  });
  expect(seenBy(server)).toEqual([[traceparentOf(trace.attempts[0]!), "vendor=1", "user=7"]]);
});

test("of a peer that is not trusted: a new trace, linked to theirs, and no more of theirs goes on", async () => {
  const receiver = collector();
  const server = backend();
  const options = calmly([server.url]);
  const proxy = await tracedProxy(receiver, {
    config: { ...options.config, telemetry: { trust: "never" } },
  });
  await (await fetch(proxy.url, { headers: SENT })).text();
  const trace = traceOf(await receiver.spans(2));
  expect(trace.server.traceId).not.toBe(TRACE_ID);
  expect(trace.server).toMatchObject({
    parentSpanId: "",
    traceState: "",
    links: [{ traceId: TRACE_ID, spanId: PARENT_ID }],
  });
  expect(seenBy(server)).toEqual([[traceparentOf(trace.attempts[0]!), null, null]]);
});

describe("is passed on untouched", () => {
  test("when its sender did not sample it, and nothing is exported", async () => {
    const receiver = collector();
    const server = backend();
    const proxy = await tracedProxy(receiver, calmly([server.url]));
    const traceparent = `00-${TRACE_ID}-${PARENT_ID}-00`;
    await (await fetch(proxy.url, { headers: { ...SENT, traceparent } })).text();
    await (await fetch(`${proxy.url}/marker`)).text();
    expect(seenBy(server)[0]).toEqual([traceparent, "vendor=1", "user=7"]);
    await receiver.spans(2);
    await proxy.stop();
    const { server: marker } = traceOf(await receiver.spans(2));
    expect(marker.attributes["url.path"]).toBe("/marker");
  });

  test.each<[string, Record<string, string>]>([
    ["without an endpoint", {}],
    ["with the SDK disabled", { OTEL_SDK_DISABLED: "true" }],
    ["with no sampling", { OTEL_TRACES_SAMPLER: "always_off" }],
  ])("%s", async (situation, env) => {
    const receiver = collector();
    const server = backend();
    const proxy = await tracedProxy(situation === "without an endpoint" ? null : receiver, {
      ...calmly([server.url]),
      env,
    });
    await (await fetch(proxy.url, { headers: SENT })).text();
    await proxy.stop();
    expect(seenBy(server)).toEqual([[SENT.traceparent, SENT.tracestate, SENT.baggage]]);
    expect(receiver.exports.filter(({ path }) => path === "/v1/traces")).toEqual([]);
  });
});

test("a new trace that is not sampled: the backend is told so", async () => {
  const receiver = collector();
  const server = backend();
  const proxy = await tracedProxy(receiver, {
    ...calmly([server.url]),
    env: { OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "0" },
  });
  await (await fetch(proxy.url)).text();
  await proxy.stop();
  expect(server.requests[0]?.header("traceparent")).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  expect(receiver.exports.filter(({ path }) => path === "/v1/traces")).toEqual([]);
});

describe("of a peer that is not trusted", () => {
  test.each<[string, string, Record<string, string>]>([
    ["nothing goes on where nothing is sampled", "00", { OTEL_TRACES_SAMPLER: "always_off" }],
    ["no baggage goes on where it is no propagator", "01", { OTEL_PROPAGATORS: "tracecontext" }],
  ])("%s", async (_situation, flags, env) => {
    const receiver = collector();
    const server = backend();
    const { config } = calmly([server.url]);
    const telemetry = { trust: "never" } as const;
    const proxy = await tracedProxy(receiver, { config: { ...config, telemetry }, env });
    await (await fetch(proxy.url, { headers: SENT })).text();
    const [seen] = seenBy(server);
    expect(seen?.slice(1)).toEqual([null, null]);
    expect(seen?.[0]).toMatch(new RegExp(`^00-[0-9a-f]{32}-[0-9a-f]{16}-${flags}$`));
    expect(seen?.[0]).not.toContain(TRACE_ID);
  });

  test("everything goes on where nothing is propagated: the fields are like any others", async () => {
    const receiver = collector();
    const server = backend();
    const { config } = calmly([server.url]);
    const proxy = await tracedProxy(receiver, {
      config: { ...config, telemetry: { trust: "never" } },
      env: { OTEL_PROPAGATORS: "none" },
    });
    await (await fetch(proxy.url, { headers: SENT })).text();
    expect(seenBy(server)).toEqual([[SENT.traceparent, SENT.tracestate, SENT.baggage]]);
  });
});
