/** A client that goes away while a backend is looked for or waited for: nobody is asked on its behalf any more. */
import { describe, expect, test } from "bun:test";
import { fullBacklog } from "../_support/full-backlog.ts";
import { useHarness } from "../_support/harness.ts";
import { inOrder } from "../_support/ordered-pool.ts";
import { isQuiet } from "../_support/proxy.ts";
import { connectRaw } from "../_support/raw-client.ts";

const { backend, proxy } = useHarness();

const REQUEST = "GET /gone HTTP/1.1\r\nHost: a\r\n\r\n";
/** Within it a client is seen to wait, goes away, and is noticed, also where the processors are busy. */
const TIMEOUT = "1500ms";

describe.each(["end", "reset"] as const)("a client that goes away (%s) [G14]", (how) => {
  test("while a connection is made: the next backend never hears of it", async () => {
    const hole = await fullBacklog();
    const next = backend();
    try {
      const front = await proxy(
        inOrder([`http://127.0.0.1:${hole.address.port}`, next.url], {
          timeouts: { connect: TIMEOUT },
        }),
      );
      const client = await connectRaw(front.port);
      client.send(REQUEST);
      await front.until("the connect under way", ([pool]) => pool?.backends[0]?.inFlight === 1);
      client[how]();
      await front.until("no request in flight", isQuiet);
      // Its connect runs out of time later than that of the client that went away.
      expect((await fetch(`${front.url}/later`)).status).toBe(200);
      expect(next.requests.map(({ target }) => target)).toEqual(["/later"]);
      expect((await front.pools())[0]?.backends[0]?.failures).toBe(1);
    } finally {
      hole.stop();
    }
  });

  test("while the first backend is waited for: the next never hears of it, and the first is let go at once", async () => {
    const silent = backend(() => null);
    const next = backend();
    const front = await proxy(
      inOrder([silent.url, next.url], {
        timeouts: { firstByte: TIMEOUT },
        retry: { attempts: 9, on: ["reset", "timeout"] },
      }),
    );
    const patient = fetch(`${front.url}/patient`);
    await silent.seen(1);
    const client = await connectRaw(front.port);
    client.send(REQUEST);
    await silent.seen(2);
    client[how]();
    await silent.until(() => silent.openConnections < 2);
    // It went first, although it came later and its own time was not over.
    const [still] = silent.requests;
    expect(silent.wires.map(({ index }) => index)).toEqual([still?.connection ?? -1]);
    expect((await patient).status).toBe(200);
    expect((await fetch(`${front.url}/later`)).status).toBe(200);
    expect(silent.requests.map(({ target }) => target)).toEqual(["/patient", "/gone", "/later"]);
    expect(next.requests.map(({ target }) => target)).toEqual(["/patient", "/later"]);
    const [pool] = await front.until("no request in flight", isQuiet);
    expect(pool?.backends[0]?.failures).toBe(2);
  });

  test("while a retry is under way: both connections are let go, and nobody else is asked", async () => {
    const ill = backend(() => ({ status: 503, body: "x".repeat(300_000) }));
    const silent = backend(() => null);
    const third = backend();
    const front = await proxy(
      inOrder([ill.url, silent.url, third.url], {
        timeouts: { firstByte: TIMEOUT },
        retry: { attempts: 9, on: ["timeout", "503"] },
      }),
    );
    const client = await connectRaw(front.port);
    client.send(REQUEST);
    await silent.seen(1);
    client[how]();
    await Promise.all([ill, silent].map((each) => each.until(() => each.openConnections === 0)));
    await front.until("no request in flight", isQuiet);
    expect((await fetch(`${front.url}/later`)).status).toBe(200);
    expect(third.requests.map(({ target }) => target)).toEqual(["/later"]);
  });
});

describe.each([
  ["with another request behind it", REQUEST],
  ["with more requests behind it than may wait", REQUEST.repeat(80)],
])("a client that goes away, %s", (_what, behind) => {
  test.each(["end", "reset"] as const)("(%s) is noticed at once [E08]", async (how) => {
    const silent = backend((_request, wire) => {
      void wire.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
      return null;
    });
    const front = await proxy({
      config: { workers: 1, pools: { web: { backends: [silent.url], health: false } } },
    });
    const client = await connectRaw(front.port);
    client.send(REQUEST + behind);
    await client.until((text) => text.includes("data: 1"));
    client[how]();
    await front.until("no request in flight", isQuiet);
    await silent.until(() => silent.openConnections === 0);
  });
});

test("a client that goes away while a short answer is awaited is noticed at once [E08]", async () => {
  const slow = backend((_request, wire) => {
    void wire.write("HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n");
    return null;
  });
  const front = await proxy({
    config: { workers: 1, pools: { web: { backends: [slow.url], health: false } } },
  });
  const client = await connectRaw(front.port);
  client.send(REQUEST);
  await client.until((text) => text.endsWith("\r\n\r\n"));
  client.end();
  await front.until("no request in flight", isQuiet);
});
