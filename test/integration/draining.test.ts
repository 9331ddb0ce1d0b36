/** Backends that an operator takes out of a running instance, by the API and by the command line. */
import { describe, expect, test } from "bun:test";
import { createBareFolder } from "../_support/binary.ts";
import { useHarness } from "../_support/harness.ts";
import type { Proxy } from "../_support/proxy.ts";
import { connectRaw } from "../_support/raw-client.ts";

const { backend, proxy } = useHarness();

function post(front: Proxy, path: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${front.admin}${path}`, { method: "POST", headers });
}

/** How often each answered, of so many requests. */
async function shares(front: Proxy, requests = 20): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < requests; i++) {
    const answer = await fetch(front.url);
    const name = answer.status === 200 ? await answer.text() : String(answer.status);
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

async function pair(workers = 2) {
  const [a, b] = [backend(() => "a"), backend(() => "b")];
  const backends = [
    { url: a.url, id: "a" },
    { url: b.url, id: "b" },
  ];
  const config = { pools: { web: { backends } }, workers };
  return { a, b, config, front: await proxy({ config }) };
}

describe("a drained backend", () => {
  test("gets nothing new in any worker, finishes what it has, and is back after undrain", async () => {
    const { a, front } = await pair();
    a.handler = (_request, wire) => {
      wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    };
    const client = await connectRaw(front.port);
    while (a.requests.length === 0) {
      client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      const from = client.received().length;
      await client.until((text) => /abc\r\n$|b$/.test(text.slice(from)));
    }
    const drained = await front.run("drain", "a");
    expect(drained.exitCode).toBe(0);
    expect(drained.stdout).toBe(
      "a in pool web gets no new requests; 1 in flight may finish (leastwise status shows how many are left)\n",
    );
    expect(await shares(front)).toEqual({ b: 20 });
    expect((await front.pools())[0]?.backends[0]).toMatchObject({ draining: true, inFlight: 1 });
    for (const wire of a.wires) wire.write("3\r\ndef\r\n0\r\n\r\n");
    await client.until((text) => text.endsWith("def\r\n0\r\n\r\n"));
    await front.until("none in flight", ([pool]) => pool?.backends[0]?.inFlight === 0);
    expect((await front.run("status")).stdout).toMatch(/^a +draining /m);
    a.handler = () => "a";
    const back = await front.run("undrain", "a");
    expect(back).toMatchObject({ exitCode: 0, stdout: "a in pool web gets requests again\n" });
    expect(Object.keys(await shares(front)).toSorted()).toEqual(["a", "b"]);
  });

  test("stays drained when workers are replaced or recycled, and through reloads", async () => {
    const { config, front } = await pair(1);
    expect((await post(front, "/api/v1/pools/web/backends/a/drain")).status).toBe(200);
    process.kill((await front.workers())[0]?.pid ?? 0, "SIGKILL");
    while (!front.log().includes("worker replaced")) await Bun.sleep(5);
    expect(await shares(front)).toEqual({ b: 20 });
    const [a, b] = config.pools.web.backends;
    const added = backend(() => "c");
    const backends = [{ url: added.url, id: "c" }, ...(b ? [b] : []), { ...a, weight: 3 }];
    front.configure({ pools: { web: { backends } }, workers: 1 } as typeof config);
    expect(await front.reload()).toMatchObject({ ok: true });
    expect(Object.keys(await shares(front)).toSorted()).toEqual(["b", "c"]);
    const drained = { id: "a", draining: true, requests: 0 };
    expect((await front.pools())[0]?.backends[2]).toMatchObject(drained);
    expect((await front.run("recycle")).exitCode).toBe(0);
    expect(Object.keys(await shares(front)).toSorted()).toEqual(["b", "c"]);
    expect((await front.pools())[0]?.backends[2]).toMatchObject(drained);
  });

  test("that a reload removes and another one brings back begins anew", async () => {
    const { config, front } = await pair(1);
    await post(front, "/api/v1/pools/web/backends/a/drain");
    const [, b] = config.pools.web.backends;
    front.configure({ ...config, pools: { web: { backends: b ? [b] : [] } } });
    expect(await front.reload()).toMatchObject({ ok: true });
    front.configure(config);
    expect(await front.reload()).toMatchObject({ ok: true });
    expect(Object.keys(await shares(front)).toSorted()).toEqual(["a", "b"]);
  });

  test("of which there is no other leaves nobody: 503, and not ready", async () => {
    const { front } = await pair();
    for (const id of ["a", "b"]) await post(front, `/api/v1/pools/web/backends/${id}/drain`);
    expect(await shares(front, 4)).toEqual({ 503: 4 });
    expect((await fetch(`${front.admin}/-/ready`)).status).toBe(503);
    await post(front, "/api/v1/pools/web/backends/b/undrain");
    expect(await shares(front, 4)).toEqual({ b: 4 });
    expect((await fetch(`${front.admin}/-/ready`)).status).toBe(200);
  });
});

describe("which backend is meant", () => {
  test("in every pool that has it, unless a pool is named", async () => {
    const { url } = backend();
    const id = url.replace("http://", "");
    const pools = { web: { backends: [url] }, api: { backends: [url] } };
    const front = await proxy({ config: { pools, routes: [{ pool: "web" }] } });
    const states = async () =>
      (await front.pools()).map(({ backends }) => backends.map(({ draining }) => draining));
    const one = await front.run("drain", id, "--pool", "api", "--json");
    expect(JSON.parse(one.stdout)).toMatchObject([
      { pool: "api", id, draining: true, inFlight: 0 },
    ]);
    expect(await states()).toEqual([[false], [true]]);
    expect((await front.run("drain", id)).stdout.split("\n")).toHaveLength(3);
    expect(await states()).toEqual([[true], [true]]);
    expect((await front.run("undrain", id)).exitCode).toBe(0);
    expect(await states()).toEqual([[false], [false]]);
  });

  test("is asked back when the same id is two servers", async () => {
    const pools = {
      web: { backends: [{ id: "main", url: backend().url }] },
      api: { backends: [{ id: "main", url: backend().url }] },
    };
    const front = await proxy({ config: { pools, routes: [{ pool: "web" }] } });
    const { exitCode, stderr } = await front.run("drain", "main");
    expect(exitCode).toBe(1);
    expect(stderr).toContain("in pool web");
    expect(stderr).toContain("--pool");
    expect((await front.run("drain", "main", "--pool", "web")).exitCode).toBe(0);
  });

  test("a unix socket's path is an id like any other", async () => {
    await using folder = await createBareFolder();
    const unix = `${folder.path}/backend.sock`;
    const { url } = backend({ unix });
    const front = await proxy({ config: { pools: { web: { backends: [url] } } } });
    const [pool] = await front.pools();
    const { exitCode } = await front.run("drain", pool?.backends[0]?.id ?? "");
    expect(exitCode).toBe(0);
    expect((await front.pools())[0]?.backends[0]?.draining).toBe(true);
  });

  test.each([
    [["drain", "nobody"], 1, "leastwise: no backend nobody, there is a, b\n"],
    [
      ["drain", "a", "--pool", "wed"],
      1,
      'leastwise: no pool wed, there is web; did you mean "web"?\n',
    ],
    [["drain"], 2, "BACKEND: found none, allowed a backend's id"],
    [["drain", "a", "b"], 2, "b: unexpected argument"],
  ])("%j is a mistake and names what there is", async (args, code, message) => {
    const { front } = await pair(1);
    const { exitCode, stdout, stderr } = await front.run(...args);
    expect({ exitCode, stdout }).toEqual({ exitCode: code, stdout: "" });
    expect(stderr).toContain(message);
    expect(await shares(front, 4)).not.toHaveProperty("503");
  });
});

test("draining and reloading are refused to pages of other origins, and by GET", async () => {
  const { front } = await pair(1);
  for (const path of ["/api/v1/reload", "/api/v1/pools/web/backends/a/drain"]) {
    expect((await post(front, path, { origin: "http://evil.example" })).status).toBe(403);
    expect((await post(front, path, { host: "evil.example" })).status).toBe(403);
  }
  const got = await fetch(`${front.admin}/api/v1/pools/web/backends/a/drain`);
  expect(got.status).toBe(405);
  expect(await got.text()).toContain("POST is");
  const unknown = await post(front, "/api/v1/pools/web/backends/%zz/drain");
  expect(unknown.status).toBe(404);
  const [pool] = await front.pools();
  expect(pool?.backends.map(({ draining }) => draining)).toEqual([false, false]);
  expect(front.log()).not.toContain("configuration reloaded");
});
