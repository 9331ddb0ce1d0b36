/** The last decisions of the compiled binary, for who asks. */
import { expect, test } from "bun:test";
import { useHarness } from "../_support/harness.ts";
import type { Proxy } from "../_support/proxy.ts";

const { backend, proxy } = useHarness();

interface Decision {
  readonly at: string;
  readonly pool: string;
  readonly chosen: string;
  readonly traceId: string | null;
  readonly [field: string]: unknown;
}

async function decisions(front: Proxy, query = ""): Promise<Decision[]> {
  const answer = await fetch(`${front.admin}/api/v1/decisions${query}`);
  expect(answer.status).toBe(200);
  return (await answer.json()) as Decision[];
}

test("tell who was chosen and why, with what the strategy looked at", async () => {
  const [busy, idle, out] = [backend(() => null), backend(), backend()];
  const front = await proxy({
    config: {
      pools: {
        web: {
          backends: [
            { id: "busy", url: busy.url, labels: { zone: "b" } },
            { id: "idle", url: idle.url, weight: 2 },
            { id: "out", url: out.url },
          ],
          strategy: "./mine.ts",
        },
      },
      workers: 1,
    },
    files: {
      "mine.ts": `export default { name: "mine", apiVersion: 1, create: () => ({
        score(backend, { request }) {
          request.headers.get("X-Tenant"); request.headers.has("authorization"); request.headers.get("x-none");
          return backend.id === "busy" && backend.inFlight === 0 ? 0 : 1 + backend.inFlight; } }) };`,
    },
  });
  expect((await front.run("drain", "out")).exitCode).toBe(0);
  const abort = new AbortController();
  const waiting = fetch(`${front.url}/waits`, { signal: abort.signal }).catch(() => null);
  await busy.seen(1);
  const headers = { "x-tenant": "t1", authorization: "Bearer s3cret", cookie: "a=b" };
  await fetch(`${front.url}/a?sig=hidden&q=1`, { headers });
  const [last, first] = await decisions(front);
  expect(last).toEqual({
    at: expect.stringMatching(/^\d{4}-.*Z$/),
    worker: 0,
    pool: "web",
    traceId: null,
    attempt: 1,
    strategy: { name: "mine", version: expect.stringMatching(/^\w{12}$/) },
    decidedBy: "score",
    chosen: "idle",
    fallback: false,
    tie: false,
    failOpen: false,
    pickMs: expect.any(Number),
    candidates: [
      { id: "busy", url: busy.url, inFlight: 1, weight: 1, labels: { zone: "b" }, score: 2 },
      { id: "idle", url: idle.url, inFlight: 0, weight: 2, labels: {}, score: 1 },
    ],
    excluded: [{ id: "out", reason: "draining" }],
    leftOut: 0,
    request: {
      method: "GET",
      host: front.url.slice("http://".length),
      path: "/a",
      query: "sig=REDACTED&q=1",
      clientAddress: "127.0.0.1",
      headers: { "x-tenant": "t1", "x-none": null },
      withheld: ["authorization"],
    },
  });
  expect(first).toMatchObject({ chosen: "busy", request: { path: "/waits" } });
  expect(await (await fetch(`${front.admin}/api/v1/decisions`)).text()).not.toContain("s3cret");
  abort.abort();
  await waiting;
});

test("are a few a second of each pool, however busy another one is", async () => {
  const [one, two] = [backend(), backend()];
  const front = await proxy({
    config: {
      pools: { busy: { backends: [one.url] }, calm: { backends: [two.url], strategy: "random" } },
      routes: [{ path: "/calm", pool: "calm" }, { pool: "busy" }],
      workers: 1,
    },
  });
  const startedAt = Date.now();
  for (let i = 0; i < 100; i++) await fetch(front.url);
  await fetch(`${front.url}/calm`);
  const seconds = Math.ceil((Date.now() - startedAt) / 1000) + 1;
  const all = await decisions(front);
  const busy = all.filter(({ pool }) => pool === "busy");
  expect(busy.length).toBeGreaterThanOrEqual(4);
  expect(busy.length).toBeLessThanOrEqual(4 * (seconds + 1));
  expect(all.filter(({ pool }) => pool === "calm")).toMatchObject([{ decidedBy: "pick" }]);
  expect(await decisions(front, "?pool=calm")).toHaveLength(1);
  expect(await decisions(front, "?pool=busy&limit=2")).toEqual(busy.slice(0, 2));
});

test("are of all workers, also after one was replaced, and forged ones are none", async () => {
  const { url } = backend();
  const front = await proxy({
    config: { pools: { web: { backends: [url], strategy: "./mine.ts" } }, workers: 2 },
    files: {
      "mine.ts": `export default { name: "mine", apiVersion: 1, create: () => ({ score: () => {
        for (let id = 1; id < 100; id++) {
          process.send({ type: "answer", id, answer: { about: "decisions", decisions: [{ at: 7 }] } });
        }
        return 0; } }) };`,
    },
  });
  const workers = new Set<unknown>();
  while (workers.size < 2) {
    await fetch(front.url, { keepalive: false });
    for (const { worker } of await decisions(front)) workers.add(worker);
  }
  const at = (await decisions(front)).map((each) => each.at);
  expect(at).toEqual(at.toSorted().toReversed());
  expect((await front.run("recycle")).exitCode).toBe(0);
  await fetch(front.url);
  expect((await decisions(front)).length).toBeGreaterThan(0);
});

test("of a strategy that reads a field whose name is no text are told, and end no worker", async () => {
  const { url } = backend();
  const front = await proxy({
    config: { pools: { web: { backends: [url], strategy: "./mine.ts" } }, workers: 1 },
    files: {
      "mine.ts": `export default { name: "mine", apiVersion: 1, create: () => ({ score: (_, { request }) => {
        for (const key of [7, {}, Symbol("key"), () => 7]) request.headers.get({ toLowerCase: () => key });
        request.headers.has("x-none");
        return 0; } }) };`,
    },
  });
  await fetch(front.url);
  expect(await decisions(front)).toMatchObject([
    {
      chosen: url.slice("http://".length),
      fallback: false,
      request: { headers: { "x-none": null } },
    },
  ]);
  expect(await front.workers()).toMatchObject([{ restarts: 0, state: "serving" }]);
});

test("asked for wrongly, they say what can be asked", async () => {
  const front = await proxy({ config: { pools: { web: { backends: [backend().url] } } } });
  const ask = async (query: string): Promise<string> => {
    const answer = await fetch(`${front.admin}/api/v1/decisions?${query}`);
    const { error } = (await answer.json()) as { error: { message: string } };
    return `${answer.status} ${error.message}`;
  };
  expect(await ask("pool=wbe")).toBe('404 no pool "wbe", there is web; did you mean "web"?');
  expect(await ask("limit=0")).toBe('400 limit: found "0", allowed 1 to 1000');
  expect(await ask("limit=1001")).toContain("allowed 1 to 1000");
  expect(await ask("trace=xyz")).toBe('400 trace: found "xyz", allowed 32 hex digits');
  expect(await ask("pools=web")).toBe(
    "400 pools is no parameter here; there are pool, trace, limit",
  );
});
