/** Why a request went to that backend: what the spans of its attempts tell. */
import { expect, test } from "bun:test";
import { inOrder } from "../_support/ordered-pool.ts";
import { calmly, eventOf, traceOf, traceparentOf, useTracing } from "../_support/traced-proxy.ts";

const { backend, collector, tracedProxy } = useTracing();

const idOf = (server: { readonly port: number }): string => `127.0.0.1:${server.port}`;

test("a retry on another backend: a span each, and each backend saw the id of its own", async () => {
  const receiver = collector();
  const first = backend((_, wire) => wire.reset());
  const second = backend();
  const proxy = await tracedProxy(
    receiver,
    inOrder([first.url, second.url], { retry: { on: ["reset"] } }),
  );
  expect((await fetch(proxy.url)).status).toBe(200);
  const { server, attempts } = traceOf(await receiver.spans(3));
  const [failed, retried] = attempts;
  expect(server.status.code).toBe("UNSET");
  expect(failed).toMatchObject({ status: { code: "ERROR", message: "" } });
  expect(failed?.attributes).toMatchObject({
    "error.type": "reset",
    "leastwise.backend.id": idOf(first),
    "leastwise.candidates": 2,
  });
  expect(failed?.attributes).not.toContainKey("http.request.resend_count");
  expect(retried).toMatchObject({ status: { code: "UNSET" } });
  expect(retried?.attributes).toMatchObject({
    "http.request.resend_count": 1,
    "http.response.status_code": 200,
    "leastwise.backend.id": idOf(second),
    "leastwise.candidates": 1,
    "leastwise.retry.reason": "reset",
  });
  expect(eventOf(retried, "leastwise.decision")).toMatchObject({
    "leastwise.decision.candidates": [idOf(second)],
    "leastwise.decision.excluded": [`${idOf(first)} tried`],
  });
  expect(first.requests.map((request) => request.header("traceparent"))).toEqual([
    traceparentOf(failed!),
  ]);
  expect(second.requests.map((request) => request.header("traceparent"))).toEqual([
    traceparentOf(retried!),
  ]);
});

test("the candidates with their load and score, the best first", async () => {
  const receiver = collector();
  const busy = backend(() => null);
  const idle = backend();
  const proxy = await tracedProxy(receiver, inOrder([busy.url, idle.url]));
  const abort = new AbortController();
  const waiting = fetch(`${proxy.url}/waits`, { signal: abort.signal }).catch(() => null);
  await busy.seen(1);
  busy.handler = () => "ok";
  expect((await fetch(proxy.url)).status).toBe(200);
  const { attempts } = traceOf(await receiver.spans(2));
  expect(attempts[0]?.attributes["leastwise.backend.in_flight"]).toBe(1);
  expect(eventOf(attempts[0], "leastwise.decision")).toEqual({
    "leastwise.decision.candidates": [idOf(busy), idOf(idle)],
    "leastwise.decision.in_flight": [1, 0],
    "leastwise.decision.scores": [0, 1],
    "leastwise.decision.excluded": [],
    "leastwise.decision.tie": false,
    "leastwise.decision.fail_open": false,
  });
  abort.abort();
  await waiting;
});

test("equal backends are a tie", async () => {
  const receiver = collector();
  const servers = [backend(), backend()];
  const proxy = await tracedProxy(receiver, calmly(servers.map(({ url }) => url)));
  expect((await fetch(proxy.url)).status).toBe(200);
  const { attempts } = traceOf(await receiver.spans(2));
  expect(eventOf(attempts[0], "leastwise.decision")).toMatchObject({
    "leastwise.decision.tie": true,
    "leastwise.decision.scores": [0, 0],
  });
});

test("an ejected backend is named as such", async () => {
  const receiver = collector();
  const bad = backend(() => ({ status: 500, body: "no" }));
  const good = backend();
  const proxy = await tracedProxy(
    receiver,
    inOrder([bad.url, good.url], { ejection: { failures: 2, base: "1m" } }),
  );
  for (let request = 0; request < 2; request++) {
    expect((await fetch(`${proxy.url}/fails`)).status).toBe(500);
  }
  await proxy.until("the ejection", ([pool]) => pool?.backends[0]?.ejectedUntil !== null);
  expect((await fetch(`${proxy.url}/after`)).status).toBe(200);
  const spans = await receiver.spans(6);
  const after = spans.find((span) => span.attributes["url.path"] === "/after")!;
  const { attempts } = traceOf(spans.filter(({ traceId }) => traceId === after.traceId));
  expect(attempts[0]?.attributes).toMatchObject({
    "leastwise.backend.id": idOf(good),
    "leastwise.ejected_count": 1,
    "leastwise.candidates": 1,
  });
  expect(eventOf(attempts[0], "leastwise.decision")).toMatchObject({
    "leastwise.decision.excluded": [`${idOf(bad)} ejected`],
  });
});

test("a request that went out again because its idle connection was closed is one attempt", async () => {
  const receiver = collector();
  const server = backend((request, wire) => {
    if (request.target !== "/second" || wire.index > 0) return "ok";
    wire.reset();
    return undefined;
  });
  const proxy = await tracedProxy(receiver, calmly([server.url]));
  for (const target of ["/first", "/second"]) {
    expect(await (await fetch(`${proxy.url}${target}`)).text()).toBe("ok");
  }
  expect(server.connections).toBe(2);
  const spans = await receiver.spans(4);
  const second = spans.find((span) => span.attributes["url.path"] === "/second")!;
  const { attempts } = traceOf(spans.filter(({ traceId }) => traceId === second.traceId));
  expect(attempts.map(({ events }) => events.map(({ name }) => name))).toEqual([
    ["leastwise.decision", "leastwise.reconnecting", "leastwise.connected", "leastwise.first_byte"],
  ]);
});

test("a strategy that fails: least connections answered, and says with which scores", async () => {
  const receiver = collector();
  const server = backend();
  const proxy = await tracedProxy(receiver, {
    ...calmly([server.url], { strategy: "./broken.ts" }),
    files: {
      // Well while it is tried with made-up backends, whose names end in `.test`.
      "broken.ts": `export default { name: "broken", apiVersion: 1, create: () => ({
        score(backend) {
          if (backend.url.includes(".test")) return 1;
          throw new Error("broken");
        },
      }) };`,
    },
  });
  expect((await fetch(proxy.url)).status).toBe(200);
  const { server: request, attempts } = traceOf(await receiver.spans(2));
  expect(request.status.code).toBe("UNSET");
  expect(attempts[0]?.attributes).toMatchObject({
    "leastwise.strategy": "broken",
    "leastwise.fallback": true,
  });
  expect(eventOf(attempts[0], "leastwise.decision")).toMatchObject({
    "leastwise.decision.scores": [0],
  });
});

test("what a strategy says itself stands in the span of its attempt", async () => {
  const receiver = collector();
  const server = backend();
  const proxy = await tracedProxy(receiver, {
    ...calmly([server.url], { strategy: "./talks.ts" }),
    files: {
      "talks.ts": `export default { name: "talks", apiVersion: 1, create: ({ span }) => ({
        pick(candidates, { request }) {
          span.setAttribute("path.length", request.path.length);
          return candidates[0];
        },
        onResponse: (_, { status }) => span.addEvent("judged", { good: status < 500 }),
        onEnd: (_, { outcome }) => span.setAttribute("outcome", outcome),
      }) };`,
    },
  });
  await (await fetch(`${proxy.url}/four`)).text();
  const { attempts } = traceOf(await receiver.spans(2));
  expect(attempts[0]?.attributes).toMatchObject({
    "leastwise.plugin.path.length": 5,
    "leastwise.plugin.outcome": "ok",
  });
  expect(eventOf(attempts[0], "leastwise.plugin.judged")).toEqual({ good: true });
});
