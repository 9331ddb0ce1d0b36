/**
 * A worker whose file descriptors run out although its clients are within their limit: connections
 * that nobody uses are closed, new ones refused, and those that were there are served.
 */
import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { useHarness } from "../_support/harness.ts";
import type { Proxy } from "../_support/proxy.ts";
import { connectRaw, type RawConnection } from "../_support/raw-client.ts";

const harness = useHarness();

const LIMIT = 256;
const descriptors = { soft: LIMIT, hard: LIMIT };
/** Opens as many files as a request says, and closes them when another one ends. */
const HOARDER = `
  import { closeSync, openSync } from "node:fs";
  const held = [];
  export default { name: "hoarder", apiVersion: 1, create: () => ({
    score(backend, { request }) {
      const wanted = request.headers.get("x-hold");
      if (wanted !== null) {
        while (held.length < Number(wanted)) held.push(openSync("/dev/null", "r"));
      }
      return backend.inFlight;
    },
    onEnd({ request }) {
      if (request.headers.has("x-release")) for (const file of held.splice(0)) closeSync(file);
    },
  }) };`;

async function openDescriptors(proxy: Proxy): Promise<number> {
  const [worker] = await proxy.workers();
  return readdirSync(`/proc/${worker?.pid}/fd`).length;
}

/** One request on a connection; resolves with its answer's text. */
async function ask(connection: RawConnection, fields = ""): Promise<string> {
  const before = connection.received().length;
  connection.send(`GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`);
  const all = await connection.until((text) =>
    /\r\n\r\n[^]*(hello|\}\n)$/.test(text.slice(before)),
  );
  return all.slice(before);
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within 20 s: ${what}`);
    await Bun.sleep(10);
  }
}

describe("with 256 file descriptors for a worker", () => {
  test("idle connections to one pool's backends make room for those of another", async () => {
    const release = { one: Promise.withResolvers<string>(), two: Promise.withResolvers<string>() };
    const one = harness.backend(() => release.one.promise);
    const two = harness.backend(() => release.two.promise);
    const proxy = await harness.proxy({
      descriptors,
      config: {
        workers: 1,
        pools: {
          one: { backends: [one.url], health: false },
          two: { backends: [two.url], health: false },
        },
        routes: [
          { path: "/one", pool: "one" },
          { path: "/two", pool: "two" },
        ],
      },
    });
    const clients = await Promise.all(Array.from({ length: 90 }, () => connectRaw(proxy.port)));
    const answered = Promise.all(
      clients.map((each) => each.until((text) => text.endsWith("hello"))),
    );
    for (const each of clients) each.send("GET /one HTTP/1.1\r\nHost: a\r\n\r\n");
    await one.until(() => one.concurrent === 90);
    release.one.resolve("hello");
    await answered;
    expect(one.openConnections).toBe(90);
    // 90 clients, 90 idle connections, and 90 more: too many.
    const again = Promise.all(
      clients.map((each) => each.until((text) => text.split("hello").length === 3)),
    );
    for (const each of clients) each.send("GET /two HTTP/1.1\r\nHost: a\r\n\r\n");
    await two.until(() => two.concurrent === 90);
    expect(await openDescriptors(proxy)).toBeLessThan(LIMIT);
    await one.until(() => one.openConnections === 0);
    release.two.resolve("hello");
    for (const text of await again) expect(text).not.toContain("overloaded");
    for (const each of clients) each.end();
  });

  test("a strategy that holds files open: old connections are served, new ones get 503, and it recovers", async () => {
    const backend = harness.backend(() => "hello");
    const proxy = await harness.proxy({
      descriptors,
      files: { "hoarder.ts": HOARDER },
      config: {
        workers: 1,
        pools: { web: { backends: [backend.url], strategy: "./hoarder.ts", health: false } },
      },
    });
    const streaming = Promise.withResolvers<string>();
    const old = await connectRaw(proxy.port);
    const idle = await connectRaw(proxy.port);
    const operator = await connectRaw(proxy.port);
    for (const each of [old, idle, operator]) {
      expect(await ask(each)).not.toMatch(/connection: close/i);
    }
    backend.handler = () => streaming.promise;
    const served = ask(old, "X-Release: yes\r\n");
    await backend.until(() => backend.concurrent === 1);
    backend.handler = () => "hello";
    // Over 95 % of the limit.
    const hold = LIMIT - 10 - (await openDescriptors(proxy));
    expect(await ask(operator, `X-Hold: ${hold}\r\n`)).toStartWith("HTTP/1.1 200 ");
    expect(await idle.closed).toBe("fin");
    const refused = await ask(await connectRaw(proxy.port));
    expect(refused).toStartWith("HTTP/1.1 503 ");
    expect(refused).toContain('"code":"overloaded"');
    expect(refused).toMatch(/\r\nretry-after: \d/i);
    expect(refused).toMatch(/\r\nconnection: close\r\n/i);
    streaming.resolve("hello");
    const answer = await served;
    expect(answer).toStartWith("HTTP/1.1 200 ");
    expect(answer).toMatch(/\r\nconnection: close\r\n/i);
    expect(proxy.log()).toContain("file descriptors run out");
    await until("connections are kept again", async () => {
      const connection = await connectRaw(proxy.port);
      const text = await ask(connection);
      connection.end();
      return text.startsWith("HTTP/1.1 200 ") && !/\r\nconnection: close\r\n/i.test(text);
    });
    expect(proxy.log()).toContain("there are enough file descriptors again");
  });

  test("400 clients at once: the limit is not reached, those that were there are served, and it recovers", async () => {
    const backend = harness.backend(() => "hello");
    const proxy = await harness.proxy({
      descriptors,
      config: { workers: 1, pools: { web: { backends: [backend.url], health: false } } },
    });
    const old = await Promise.all(Array.from({ length: 20 }, () => connectRaw(proxy.port)));
    const release = Promise.withResolvers<string>();
    backend.handler = () => release.promise;
    const answers = old.map((each) => ask(each));
    await backend.until(() => backend.concurrent === 20);
    let most = 0;
    const [worker] = await proxy.workers();
    const watching = setInterval(() => {
      most = Math.max(most, readdirSync(`/proc/${worker?.pid}/fd`).length);
    }, 2);
    const crowd = await Promise.all(
      Array.from({ length: 400 }, async () => {
        const connection = await connectRaw(proxy.port, { localAddress: "127.0.0.2" });
        connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        return connection;
      }),
    );
    // Each of them is refused, or closed, or waits for the backend as those did that were there.
    let over = 0;
    for (const each of crowd) void each.closed.then(() => over++);
    await until("the crowd has its answer or waits", () => over + backend.concurrent - 20 >= 400);
    clearInterval(watching);
    release.resolve("hello");
    for (const text of await Promise.all(answers)) expect(text).toStartWith("HTTP/1.1 200 ");
    expect(most).toBeGreaterThan(LIMIT / 2);
    expect(most).toBeLessThan(LIMIT);
    for (const each of [...crowd, ...old]) each.end();
    await until("a new client is served", async () => {
      const connection = await connectRaw(proxy.port);
      const text = await ask(connection);
      connection.end();
      return text.startsWith("HTTP/1.1 200 ") && !/\r\nconnection: close\r\n/i.test(text);
    });
  });
});
