/** Backends that do not accept, do not answer or stop half-way, and how long a client waits for them. */
import { afterEach, describe, expect, test } from "bun:test";
import { fullBacklog } from "../_support/full-backlog.ts";
import { useHarness } from "../_support/harness.ts";
import { inOrder } from "../_support/ordered-pool.ts";
import { isQuiet } from "../_support/proxy.ts";
import { connectRaw } from "../_support/raw-client.ts";

const { backend, proxy } = useHarness();

const blackholes: Awaited<ReturnType<typeof fullBacklog>>[] = [];
afterEach(() => {
  for (const each of blackholes.splice(0)) each.stop();
});

/** An address that answers no SYN. */
async function blackhole(): Promise<string> {
  const hole = await fullBacklog();
  blackholes.push(hole);
  return `http://127.0.0.1:${hole.address.port}`;
}

async function errorOf(response: Response): Promise<readonly [number, string | null, string]> {
  const { error } = (await response.json()) as { error: { code: string } };
  return [response.status, response.headers.get("proxy-status"), error.code];
}

describe("a backend that answers no SYN [G02]", () => {
  test("is given up after timeouts.connect, and the next one gets the request, whatever its method", async () => {
    const good = backend();
    const urls = [await blackhole(), await blackhole(), good.url];
    const front = await proxy(inOrder(urls, { timeouts: { connect: "100ms" } }));
    for (const method of ["GET", "POST"]) {
      const body = method === "POST" ? { body: "sent once" } : {};
      expect((await fetch(front.url, { method, ...body })).status).toBe(200);
    }
    expect(good.requests.map(({ text }) => text)).toEqual(["", "sent once"]);
    const [pool] = await front.until("no request in flight", isQuiet);
    expect(pool?.backends.map(({ failures }) => failures)).toEqual([2, 2, 0]);
  });

  test("alone is a 504", async () => {
    const front = await proxy(inOrder([await blackhole()], { timeouts: { connect: "100ms" } }));
    const told = await errorOf(await fetch(front.url));
    expect(told).toEqual([504, "leastwise; error=connection_timeout", "connect_timeout"]);
  });

  test("among others like it takes no longer than timeouts.request: the third is not tried", async () => {
    const urls = [await blackhole(), await blackhole(), await blackhole()];
    const timeouts = { connect: "1s", request: "1600ms" };
    const front = await proxy(inOrder(urls, { timeouts }));
    const told = await errorOf(await fetch(front.url));
    expect(told).toEqual([504, "leastwise; error=http_response_timeout", "request_timeout"]);
    const [pool] = await front.until("no request in flight", isQuiet);
    expect(pool?.backends.map(({ requests }) => requests)).toEqual([1, 1, 0]);
  });
});

describe("a backend that accepts and says nothing [G03]", () => {
  const timeouts = { firstByte: "150ms" };

  test("is a 504 after timeouts.firstByte, and by default nobody else is asked", async () => {
    const silent = backend(() => null);
    const other = backend();
    const front = await proxy(inOrder([silent.url, other.url], { timeouts }));
    for (const method of ["GET", "POST"]) {
      const told = await errorOf(await fetch(front.url, { method }));
      expect(told).toEqual([504, "leastwise; error=connection_read_timeout", "first_byte_timeout"]);
    }
    expect([silent.requests.length, other.requests.length]).toEqual([2, 0]);
    await silent.until(() => silent.openConnections === 0);
  });

  test("is left for another one where retry.on names timeouts, but not by a POST", async () => {
    const silent = backend(() => null);
    const other = backend();
    const front = await proxy(
      // The other one is as busy as this process is, and must have the time for it.
      inOrder([silent.url, other.url], {
        timeouts: { firstByte: "1s" },
        retry: { on: ["timeout"] },
      }),
    );
    expect((await fetch(front.url)).status).toBe(200);
    const told = await errorOf(await fetch(front.url, { method: "POST", body: "x" }));
    expect(told).toEqual([504, "leastwise; error=connection_read_timeout", "first_byte_timeout"]);
    expect(silent.requests.map(({ method }) => method)).toEqual(["GET", "POST"]);
    expect(other.requests.map(({ method }) => method)).toEqual(["GET"]);
  });
});

describe("a backend that stops in the middle of a body [G05]", () => {
  const HEAD = "HTTP/1.1 200 OK\r\n";

  test.each([
    ["short, with a length", `${HEAD}Content-Length: 10\r\n\r\nabc`],
    ["long, with a length", `${HEAD}Content-Length: 1000000\r\n\r\nabc`],
    ["with a length, before its first byte", `${HEAD}Content-Length: 10\r\n\r\n`],
    ["chunked, between chunks", `${HEAD}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`],
    ["chunked, in a chunk", `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nabc`],
    ["up to the close", `${HEAD}\r\nabc`],
  ])("%s: a broken end for the client, and no second attempt", async (_, raw) => {
    const stalling = backend(() => ({ raw: [raw] }));
    const other = backend();
    const front = await proxy(
      inOrder([stalling.url, other.url], {
        timeouts: { idle: "200ms" },
        retry: { attempts: 5, on: ["connect", "reset", "timeout"] },
      }),
    );
    const client = await connectRaw(front.port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(await client.closed).toBe("reset");
    const text = client.received();
    expect(text).toStartWith("HTTP/1.1 200 OK\r\n");
    // Neither the last chunk nor as many bytes as were declared.
    expect(text).not.toContain("\r\n0\r\n");
    const length = /\r\ncontent-length: (\d+)\r\n/i.exec(text)?.[1];
    const body = text.slice(text.indexOf("\r\n\r\n") + 4);
    if (length !== undefined) expect(body.length).toBeLessThan(Number(length));
    expect([stalling.requests.length, other.requests.length]).toEqual([1, 0]);
    await stalling.until(() => stalling.openConnections === 0);
    const [pool] = await front.until("no request in flight", isQuiet);
    expect(pool?.backends[0]?.failures).toBe(1);
  });
});

describe("timeouts.request, over several attempts [G12]", () => {
  const LIMIT_MS = 3000;

  /** Two backends say nothing, the third answers at this fraction of the limit. */
  async function answerAt(fraction: number): Promise<Response> {
    let begun: number | null = null;
    const script = () => {
      begun ??= performance.now();
      return null;
    };
    const silent = [backend(script), backend(script)];
    const last = backend(() => ({
      delayMs: (begun ?? 0) + fraction * LIMIT_MS - performance.now(),
      body: "in time",
    }));
    const all = [...silent, last];
    const front = await proxy(
      inOrder(
        all.map(({ url }) => url),
        {
          timeouts: { firstByte: "1100ms", request: `${LIMIT_MS}ms` },
          retry: { attempts: 9, on: ["timeout"] },
        },
      ),
    );
    const response = await fetch(front.url);
    expect(all.map(({ requests }) => requests.length)).toEqual([1, 1, 1]);
    await front.until("no request in flight", isQuiet);
    return response;
  }

  test("an answer before the limit is the client's, one after it comes too late", async () => {
    const [early, late] = await Promise.all([answerAt(0.78), answerAt(1.22)]);
    expect([early.status, await early.text()]).toEqual([200, "in time"]);
    expect(await errorOf(late)).toEqual([
      504,
      "leastwise; error=http_response_timeout",
      "request_timeout",
    ]);
  });
});
