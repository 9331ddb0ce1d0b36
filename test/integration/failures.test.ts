/** Backends that refuse, fail fast, die and come back: what clients notice of it. */
import { describe, expect, test } from "bun:test";
import { isQuiet } from "../_support/proxy.ts";
import { useHarness } from "../_support/harness.ts";

const { backend, deadBackend, proxy } = useHarness();

/** Keeps this many requests going until `until` settles; returns how each ended, by status or error. */
async function load(url: string, concurrency: number, until: Promise<unknown>, method = "GET") {
  const endings = new Map<string, number>();
  const story = { over: false };
  void until.then(() => {
    story.over = true;
  });
  const one = async () => {
    while (!story.over) {
      let ending: string;
      try {
        const response = await fetch(url, { method, ...(method === "POST" && { body: "x" }) });
        await response.arrayBuffer();
        ending = String(response.status);
      } catch (error) {
        ending = error instanceof Error ? error.message : String(error);
      }
      endings.set(ending, (endings.get(ending) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, one));
  return endings;
}

describe("a backend that cannot be reached", () => {
  test.each(["GET", "POST", "PATCH"])(
    "costs no %s a failure: another one gets it",
    async (method) => {
      const dead = deadBackend();
      const alive = backend();
      const front = await proxy({
        config: {
          pools: { web: { backends: [dead.url, alive.url], health: false, ejection: false } },
        },
      });
      for (let i = 0; i < 20; i++) {
        const body = method === "GET" ? {} : { body: "hello" };
        const response = await fetch(front.url, { method, ...body });
        expect(response.status).toBe(200);
      }
      expect(alive.requests).toHaveLength(20);
      if (method !== "GET") expect(alive.requests.every(({ text }) => text === "hello")).toBeTrue();
    },
  );

  test("is told to the client when retries are off", async () => {
    const dead = deadBackend();
    const alive = backend();
    const front = await proxy({
      config: {
        pools: {
          web: {
            backends: [dead.url, alive.url],
            health: false,
            ejection: false,
            retry: false,
            strategy: "round-robin",
          },
        },
        workers: 1,
      },
    });
    const statuses = [];
    for (let i = 0; i < 4; i++) statuses.push((await fetch(front.url)).status);
    expect(statuses.toSorted()).toEqual([200, 200, 502, 502]);
  });
});

describe("a request that a backend drops before its answer", () => {
  test("is repeated elsewhere when its method is idempotent", async () => {
    const bad = backend(() => ({ raw: [], afterwards: "reset" }));
    const good = backend();
    const front = await proxy({
      config: {
        pools: { web: { backends: [bad.url, good.url], health: false, ejection: false } },
        workers: 1,
      },
    });
    for (let i = 0; i < 10; i++) expect((await fetch(front.url)).status).toBe(200);
    expect(bad.requests.length).toBeGreaterThan(0);
  });

  test("is not repeated when it is a POST: the backend saw it once", async () => {
    const bad = backend(() => ({ raw: [], afterwards: "reset" }));
    const front = await proxy({
      config: { pools: { web: { backends: [bad.url], health: false, ejection: false } } },
    });
    const response = await fetch(front.url, { method: "POST", body: "x" });
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ error: { code: "reset" } });
    expect(bad.requests).toHaveLength(1);
  });
});

describe("a status that retry.on names", () => {
  test("is retried elsewhere, and passed on when everyone gives it", async () => {
    const ill = backend(() => ({ status: 503, headers: [["X-From", "ill"]], body: "ill" }));
    const well = backend(() => "well");
    const front = await proxy({
      config: {
        pools: {
          web: {
            backends: [ill.url, well.url],
            health: false,
            ejection: false,
            retry: { on: ["connect", "503"] },
          },
        },
        workers: 1,
      },
    });
    for (let i = 0; i < 20; i++) {
      const response = await fetch(front.url);
      expect([response.status, await response.text()]).toEqual([200, "well"]);
      expect(response.headers.get("x-from")).toBeNull();
    }
    expect(ill.requests.length).toBeGreaterThan(0);
    well.handler = () => ({ status: 503, body: "ill too" });
    const response = await fetch(front.url);
    expect(response.status).toBe(503);
    expect(await response.text()).toStartWith("ill");
    await front.until("no request in flight", isQuiet);
  });

  test("costs backends at most 1.2 times the requests when all of them give it", async () => {
    const all = [1, 2, 3].map(() => backend(() => ({ status: 503, body: "ill" })));
    const front = await proxy({
      config: {
        pools: {
          web: {
            backends: all.map(({ url }) => url),
            health: false,
            ejection: false,
            retry: { attempts: 3, on: ["503"] },
          },
        },
        workers: 1,
      },
    });
    const requests = 1000;
    for (let i = 0; i < requests; i++) await (await fetch(front.url)).text();
    const seen = all.reduce((sum, each) => sum + each.requests.length, 0);
    expect(seen).toBeGreaterThan(requests);
    // The floor of 3 a second allows 30 before the first requests have earned any.
    expect(seen).toBeLessThanOrEqual(1.2 * requests + 30);
  });
});

describe("one of three backends dies under load", () => {
  test("no GET fails, and its traffic returns when it is back", async () => {
    const backends = [backend(), backend(), backend()];
    const [victim] = backends;
    const front = await proxy({
      config: {
        pools: {
          web: {
            backends: backends.map(({ url }) => url),
            health: { interval: "100ms", timeout: "1s" },
            ejection: { base: "200ms" },
          },
        },
      },
    });
    const story = (async () => {
      await victim?.seen(200);
      victim?.stop();
      await front.until("the victim down", ([pool]) => pool?.backends[0]?.health === "unhealthy");
      const others = backends[1]?.requests.length ?? 0;
      await backends[1]?.seen(others + 200);
      const before = victim?.requests.length ?? 0;
      victim?.start();
      await victim?.seen(before + 200);
    })();
    const endings = await load(front.url, 16, story);
    expect([...endings.keys()]).toEqual(["200"]);
    await front.until("no request in flight", isQuiet);
  });
});

describe("a backend that fails at once", () => {
  test("gets under 5 % of the traffic with the defaults", async () => {
    const bad = backend(() => ({ status: 500, body: "no" }));
    const good = [
      backend(() => ({ delayMs: 5, body: "ok" })),
      backend(() => ({ delayMs: 5, body: "ok" })),
    ];
    const front = await proxy({
      config: { pools: { web: { backends: [bad.url, ...good.map(({ url }) => url)] } } },
    });
    const enough = Promise.all(good.map((each) => each.seen(500)));
    const endings = await load(front.url, 16, enough);
    const total = [...endings.values()].reduce((sum, count) => sum + count, 0);
    expect(total).toBeGreaterThan(1000);
    expect(bad.requests.length / total).toBeLessThan(0.05);
    const [pool] = await front.pools();
    expect(pool?.backends[0]?.ejectedUntil).not.toBeNull();
    expect(pool?.backends[0]?.failures).toBeGreaterThanOrEqual(5);
  });

  test("would get most of it without ejection, which is why ejection is on by default", async () => {
    const bad = backend(() => ({ status: 500, body: "no" }));
    const good = [
      backend(() => ({ delayMs: 5, body: "ok" })),
      backend(() => ({ delayMs: 5, body: "ok" })),
    ];
    const front = await proxy({
      config: {
        pools: { web: { backends: [bad.url, ...good.map(({ url }) => url)], ejection: false } },
      },
    });
    await load(front.url, 16, Promise.all(good.map((each) => each.seen(100))));
    expect(bad.requests.length).toBeGreaterThan(200);
  });

  test("comes back through a trial request once it is well", async () => {
    const bad = backend(() => ({ status: 500, body: "no" }));
    const good = backend();
    const front = await proxy({
      config: {
        pools: {
          web: { backends: [bad.url, good.url], health: false, ejection: { base: "300ms" } },
        },
      },
    });
    const story = (async () => {
      await front.until("the ejection", ([pool]) => pool?.backends[0]?.ejectedUntil !== null);
      bad.handler = () => "ok";
      const before = bad.requests.length;
      await bad.seen(before + 100);
    })();
    const endings = await load(front.url, 8, story);
    expect(endings.get("200")).toBeGreaterThan(100);
    await front.until("its return", ([pool]) => pool?.backends[0]?.ejectedUntil === null);
  });
});

describe("when nobody is left", () => {
  test("every backend ejected: requests are sent anyway", async () => {
    const one = backend(() => ({ status: 500, body: "no" }));
    const two = backend();
    const front = await proxy({
      config: {
        pools: {
          web: {
            backends: [one.url, two.url],
            health: { interval: "100ms", timeout: "1s", fall: 1 },
            ejection: { failures: 3, base: "60s" },
          },
        },
        workers: 1,
      },
    });
    await load(
      front.url,
      4,
      front.until("the ejection", ([pool]) => pool?.backends[0]?.ejectedUntil !== null),
    );
    two.stop();
    await front.until("the other one down", ([pool]) => pool?.backends[1]?.health === "unhealthy");
    one.handler = () => "served anyway";
    expect(await (await fetch(front.url)).text()).toBe("served anyway");
  });

  test("every backend probe-down: 503 with Retry-After and Proxy-Status, and not ready", async () => {
    const one = backend(() => ({ status: 503, body: "ill" }));
    const front = await proxy({
      config: {
        pools: { web: { backends: [one.url], health: { path: "/health", interval: "100ms" } } },
      },
    });
    await front.until("it down", ([pool]) => pool?.backends[0]?.health === "unhealthy");
    const response = await fetch(front.url);
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toMatch(/^\d+$/);
    expect(response.headers.get("proxy-status")).toBe("leastwise; error=destination_unavailable");
    expect(await response.json()).toMatchObject({ error: { code: "no_backend_available" } });
    expect((await fetch(`${front.admin}/-/ready`)).status).toBe(503);
    one.handler = () => "well";
    await front.until("it up", ([pool]) => pool?.backends[0]?.health === "healthy");
    expect((await fetch(front.url)).status).toBe(200);
    expect((await fetch(`${front.admin}/-/ready`)).status).toBe(200);
  });
});
