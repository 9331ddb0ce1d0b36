/** The admin API of a running binary: what it tells, and to whom. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { BUILD_TIMEOUT_MS, createBareFolder } from "../_support/binary.ts";
import { startFakeBackend } from "../_support/fake-backend.ts";
import { type Proxy, startProxy } from "../_support/proxy.ts";
import { exchangeRaw } from "../_support/raw-client.ts";

const backend = startFakeBackend();
let proxy: Proxy;

beforeAll(async () => {
  proxy = await startProxy({
    config: {
      pools: { web: { backends: [{ url: backend.url, id: "one", labels: { zone: "b" } }] } },
      workers: 2,
      admin: { hosts: ["ops.example"] },
    },
  });
}, BUILD_TIMEOUT_MS);

afterAll(async () => {
  await proxy.stop();
  backend.stop();
});

function ask(
  path: string,
  headers: Record<string, string> = {},
  method = "GET",
): Promise<Response> {
  return fetch(`${proxy.admin}${path}`, { method, headers });
}

describe("the admin API", () => {
  test("tells pools, strategies and backends", async () => {
    for (let i = 0; i < 3; i++) await (await fetch(proxy.url)).text();
    const [pool] = (await (await ask("/api/v1/pools")).json()) as Record<string, unknown>[];
    expect(pool).toMatchObject({
      name: "web",
      queued: 0,
      strategy: { name: "least-connections", source: "built-in", quarantined: false, faults: 0 },
      backends: [
        {
          id: "one",
          url: backend.url,
          weight: 1,
          labels: { zone: "b" },
          health: "healthy",
          ejectedUntil: null,
          draining: false,
          inFlight: 0,
          requests: 3,
          failures: 0,
        },
      ],
    });
  });

  test("tells the workers", async () => {
    const workers = (await (await ask("/api/v1/workers")).json()) as Record<string, unknown>[];
    expect(workers).toHaveLength(2);
    expect(workers[0]).toMatchObject({
      id: 0,
      restarts: 0,
      pendingRequests: 0,
      clientConnections: expect.any(Number),
    });
  });

  test("is alive and ready", async () => {
    expect((await ask("/-/healthy")).status).toBe(200);
    expect((await ask("/-/ready")).status).toBe(200);
  });

  test("names the paths there are when one is unknown, and the method when one is wrong", async () => {
    const unknown = await ask("/api/v1/pool");
    expect(unknown.status).toBe(404);
    expect(await unknown.text()).toContain("/api/v1/pools");
    const wrong = await ask("/api/v1/pools", {}, "DELETE");
    expect(wrong.status).toBe(405);
  });

  test("answers under its own names only: a rebound DNS name is refused", async () => {
    expect((await ask("/api/v1/pools", { host: "localhost:1" })).status).toBe(200);
    expect((await ask("/api/v1/pools", { host: "OPS.example" })).status).toBe(200);
    const refused = await ask("/api/v1/pools", { host: "evil.example" });
    expect(refused.status).toBe(403);
    expect(await refused.text()).toContain("admin.hosts");
    const port = Number(proxy.admin.split(":").at(-1));
    const none = await exchangeRaw(port, "GET /api/v1/pools HTTP/1.0\r\n\r\n");
    expect(none).toContain(" 403 ");
  });

  test("refuses pages of other origins", async () => {
    const foreign = await ask("/api/v1/pools", { origin: "http://evil.example" });
    expect(foreign.status).toBe(403);
    expect((await ask("/api/v1/pools", { origin: "null" })).status).toBe(403);
    const own = await ask("/api/v1/pools", { origin: proxy.admin });
    expect(own.status).toBe(200);
  });

  test("is not reachable through the port that clients use", async () => {
    const seen = backend.requests.length;
    const response = await fetch(`${proxy.url}/api/v1/pools`);
    expect(await response.text()).toBe("ok");
    expect(backend.requests.length).toBe(seen + 1);
  });

  test("with a token answers nobody without it", async () => {
    const guarded = await startProxy({
      config: { pools: { web: { backends: [backend.url] } }, admin: { token: "s3cret" } },
    });
    try {
      expect((await fetch(`${guarded.admin}/api/v1/pools`)).status).toBe(401);
      const wrong = { authorization: "Bearer wrong" };
      expect((await fetch(`${guarded.admin}/api/v1/pools`, { headers: wrong })).status).toBe(401);
      const right = { authorization: "Bearer s3cret" };
      expect((await fetch(`${guarded.admin}/api/v1/pools`, { headers: right })).status).toBe(200);
    } finally {
      await guarded.stop();
    }
  });
});

describe("leastwise status", () => {
  test("shows a running instance in tables and as JSON", async () => {
    await using folder = await createBareFolder();
    const admin = proxy.admin.replace("http://", "");
    const shown = await folder.run("status", "--admin", admin);
    expect(shown.exitCode).toBe(0);
    expect(shown.stdout).toContain("pool web: strategy least-connections");
    expect(shown.stdout).toMatch(/one\s+healthy\s+1\s+0/);
    const json = await folder.run("status", "--admin", admin, "--json");
    expect(JSON.parse(json.stdout)).toMatchObject({
      pools: [{ name: "web" }],
      workers: [{ id: 0 }, { id: 1 }],
    });
  });

  test("finds the address in the config file of its folder", async () => {
    await using folder = await createBareFolder();
    const address = proxy.admin.replace("http://", "");
    await folder.write("leastwise.config.json", JSON.stringify({ admin: { address } }));
    expect((await folder.run("status")).stdout).toContain("pool web");
  });

  test("says where nobody answers, and exits 1", async () => {
    await using folder = await createBareFolder();
    const result = await folder.run("status", "--admin", "127.0.0.1:1");
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain("127.0.0.1:1");
    expect(result.stderr).not.toMatch(/\n\s+at /);
  });
});
