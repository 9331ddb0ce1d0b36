/** Backends that refuse, answer nonsense, die and come back: what clients notice of it. */
import { describe, expect, test } from "bun:test";
import { useHarness } from "../_support/harness.ts";
import { folderWith } from "../_support/leastwise.ts";
import { load } from "../_support/load.ts";
import { inOrder } from "../_support/ordered-pool.ts";
import { isQuiet } from "../_support/proxy.ts";

const { backend, deadBackend, proxy } = useHarness();

describe("a backend that cannot be reached", () => {
  test("costs no request a failure, whatever its method: another one gets it [G01]", async () => {
    const alive = [backend(), backend()];
    const [first, second] = alive;
    const front = await proxy({
      config: {
        pools: {
          web: {
            backends: [deadBackend().url, first?.url ?? "", second?.url ?? ""],
            strategy: "round-robin",
            health: false,
            ejection: false,
          },
        },
        workers: 1,
      },
    });
    for (const method of ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH"]) {
      for (let i = 0; i < 6; i++) {
        const body = ["GET", "HEAD"].includes(method) ? {} : { body: "hello" };
        const response = await fetch(front.url, { method, ...body });
        expect([method, response.status]).toEqual([method, 200]);
      }
    }
    const seen = alive.flatMap(({ requests }) => requests);
    expect(seen).toHaveLength(42);
    for (const { method, text } of seen) {
      expect([method, text]).toEqual([method, ["GET", "HEAD"].includes(method) ? "" : "hello"]);
    }
    const [pool] = await front.until("no request in flight", isQuiet);
    expect(pool?.backends[0]?.failures).toBeGreaterThanOrEqual(14);
  });

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

describe("a backend that answers with something that is no HTTP [G06]", () => {
  const GARBAGE = [
    "you have reached the wrong port\r\n\r\n",
    "\x16\x03\x01\x00\x05hello\r\n\r\n",
    "HTTP/1.1 abc\r\n\r\n",
    "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    Buffer.alloc(2000, 0xff),
  ];

  test("is a 502, nobody else is asked, and it counts as the backend's failure", async () => {
    const bad = backend();
    const other = backend();
    const front = await proxy(inOrder([bad.url, other.url]));
    for (const piece of GARBAGE) {
      bad.handler = () => ({ raw: [piece], afterwards: "fin" });
      const response = await fetch(front.url);
      expect(response.status).toBe(502);
      expect(response.headers.get("proxy-status")).toBe("leastwise; error=http_protocol_error");
      expect(await response.json()).toMatchObject({ error: { code: "bad_response" } });
    }
    expect([bad.requests.length, other.requests.length]).toEqual([GARBAGE.length, 0]);
    expect((await front.pools())[0]?.backends[0]?.failures).toBe(GARBAGE.length);
  });

  test("is ejected for it", async () => {
    const bad = backend(() => ({ raw: GARBAGE.slice(0, 1), afterwards: "fin" }));
    const other = backend();
    const front = await proxy(inOrder([bad.url, other.url], { ejection: { failures: 3 } }));
    for (let i = 0; i < 3; i++) expect((await fetch(front.url)).status).toBe(502);
    await front.until("the ejection", ([pool]) => pool?.backends[0]?.ejectedUntil !== null);
    expect((await fetch(front.url)).status).toBe(200);
  });
});

describe("a redirect of a backend [G16]", () => {
  test("is the client's to follow: passed on, with its Location, and never followed", async () => {
    const target = backend();
    const moved = backend();
    const front = await proxy(inOrder([moved.url]));
    for (const status of [301, 302, 303, 307, 308]) {
      for (const location of [`${target.url}/there`, "/elsewhere", front.url]) {
        moved.handler = () => ({ status, headers: [["Location", location]], body: "moved" });
        for (const method of ["GET", "POST"]) {
          const response = await fetch(front.url, { method, redirect: "manual" });
          expect([response.status, await response.text()]).toEqual([status, "moved"]);
          expect(response.headers.get("location")).toBe(location);
        }
      }
    }
    expect([moved.requests.length, target.requests.length]).toEqual([30, 0]);
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

  test("every backend probe-down: 503 with Retry-After and Proxy-Status, and not ready [G07]", async () => {
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

  test("every backend refuses: 502 that says so, without waiting for any timeout, and it goes on [G07]", async () => {
    const all = [1, 2, 3].map(() => deadBackend());
    const front = await proxy(
      inOrder(
        all.map(({ url }) => url),
        { timeouts: { connect: "60s", firstByte: "60s" } },
      ),
    );
    for (const method of ["GET", "POST"]) {
      const response = await fetch(front.url, { method });
      expect(response.status).toBe(502);
      expect(response.headers.get("proxy-status")).toBe("leastwise; error=connection_refused");
      const { error } = (await response.json()) as { error: { code: string; message: string } };
      expect([error.code, error.message]).toEqual([
        "connect_refused",
        "the backend cannot be reached",
      ]);
    }
    const [pool] = await front.until("no request in flight", isQuiet);
    expect(pool?.backends.map(({ requests }) => requests)).toEqual([2, 2, 2]);
    all[2]?.start();
    expect((await fetch(front.url)).status).toBe(200);
    all[2]?.stop();
    expect((await front.workers()).map(({ restarts }) => restarts)).toEqual([0]);
  });

  test("a pool without backends is refused with the config [G07]", async () => {
    await using folder = await folderWith({
      "leastwise.config.json": JSON.stringify({ pools: { web: { backends: [] } } }),
    });
    const run = await folder.run(["serve"]);
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toContain("pools.web.backends: ");
  });
});

describe("another service at the port of a backend that died [G15]", () => {
  test("gets no request before it has passed the backend's health check", async () => {
    const other = backend(() => "other");
    const own = () => "own";
    const port = backend(own);
    const front = await proxy(
      inOrder([port.url, other.url], {
        health: { path: "/health", interval: "50ms", timeout: "1s", rise: 2, fall: 1 },
      }),
    );
    expect(await (await fetch(front.url)).text()).toBe("own");
    port.stop();
    await front.until("its death", ([pool]) => pool?.backends[0]?.health === "unhealthy");
    const before = port.requests.length;
    port.handler = () => ({ status: 404, body: "a stranger" });
    port.start();
    await port.seen(before + 3);
    for (let i = 0; i < 20; i++) expect(await (await fetch(front.url)).text()).toBe("other");
    expect(port.requests.slice(before).every(({ target }) => target === "/health")).toBe(true);
    port.handler = own;
    await front.until("its return", ([pool]) => pool?.backends[0]?.health === "healthy");
    expect(await (await fetch(front.url)).text()).toBe("own");
  });
});
