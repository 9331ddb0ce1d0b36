/** Requests in flight are counted exactly, whatever becomes of them and of the processes. */
import { describe, expect, test } from "bun:test";
import { isQuiet, type Proxy } from "../_support/proxy.ts";
import { useHarness } from "../_support/harness.ts";
import { connectRaw } from "../_support/raw-client.ts";

const { backend, deadBackend, proxy } = useHarness();

const get = "GET /PATH HTTP/1.1\r\nHost: a\r\n\r\n";

function sumInFlight([pool]: Awaited<ReturnType<Proxy["pools"]>>): number {
  return pool?.backends.reduce((sum, each) => sum + each.inFlight, 0) ?? -1;
}

describe("in flight", () => {
  test("counts a request until the last byte of its body, over all workers", async () => {
    const slow = backend((_request, wire) => {
      wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    });
    const front = await proxy({ config: { pools: { web: { backends: [slow.url] } }, workers: 2 } });
    const clients = await Promise.all(Array.from({ length: 8 }, () => connectRaw(front.port)));
    for (const client of clients) client.send(get);
    await Promise.all(clients.map((client) => client.until((text) => text.includes("abc"))));
    await front.until("8 in flight", (pools) => sumInFlight(pools) === 8);
    for (const wire of slow.wires) wire.write("0\r\n\r\n");
    await front.until("none in flight", isQuiet);
    for (const client of clients) client.end();
  });

  test("a client that goes away before the answer ends the backend's request within a second", async () => {
    const silent = backend(() => null);
    const front = await proxy({ config: { pools: { web: { backends: [silent.url] } } } });
    const client = await connectRaw(front.port);
    client.send(get);
    await silent.seen(1);
    await front.until("1 in flight", (pools) => sumInFlight(pools) === 1);
    const [wire] = silent.wires;
    client.reset();
    expect(await wire?.closed).toBeOneOf(["fin", "reset"]);
    const pools = await front.until("none in flight", isQuiet);
    expect(pools[0]?.backends[0]?.failures).toBe(0);
  });

  test("a client that goes away during the answer, too", async () => {
    const endless = backend((_request, wire) => {
      wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    });
    const front = await proxy({ config: { pools: { web: { backends: [endless.url] } } } });
    const client = await connectRaw(front.port);
    client.send(get);
    await client.until((text) => text.includes("abc"));
    const [wire] = endless.wires;
    client.reset();
    expect(await wire?.closed).toBeOneOf(["fin", "reset"]);
    await front.until("none in flight", isQuiet);
  });

  test("a client that goes away during its upload: the backend does not see a whole request", async () => {
    const reading = backend({ answerAt: "body" });
    const front = await proxy({ config: { pools: { web: { backends: [reading.url] } } } });
    const client = await connectRaw(front.port);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    await reading.until(() => reading.requests[0]?.bodyLength === 3);
    client.reset();
    await reading.until(() => reading.requests[0]?.brokenOff !== null);
    expect(reading.requests[0]?.complete).toBeFalse();
    await front.until("none in flight", isQuiet);
  });

  test("is 0 after any mix of finished, aborted and failed requests", async () => {
    const mixed = [1, 2, 3].map(() =>
      backend(({ target, index }) => {
        switch (target.slice(1)) {
          case "ok":
            return { body: "ok" };
          case "slow":
            return { delayMs: 20, body: "x".repeat(20_000), pieceBytes: 1000, gapMs: 1 };
          case "reset":
            return { raw: ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"], afterwards: "reset" };
          case "drop":
            return { raw: [], afterwards: index % 2 === 0 ? "reset" : "fin" };
          case "garbage":
            return { raw: ["nonsense\r\n\r\n"] };
          case "fail":
            return { status: 503, body: "no" };
          default:
            return null;
        }
      }),
    );
    const refusing = deadBackend();
    const front = await proxy({
      config: {
        pools: {
          web: {
            backends: [...mixed, refusing].map(({ url }) => url),
            health: false,
            timeouts: { firstByte: "300ms" },
          },
        },
        workers: 2,
      },
    });
    const kinds = ["ok", "slow", "reset", "drop", "garbage", "fail", "silent"];
    const clients = Array.from({ length: 210 }, async (_, i) => {
      const client = await connectRaw(front.port);
      client.send(get.replace("PATH", kinds[i % kinds.length] ?? "ok"));
      if (i % 3 === 0) await Bun.sleep(i % 50).then(() => client.reset());
      else if (i % 3 === 1) await client.until((text) => text.length > 0).catch(() => "");
      else await client.until((text) => /\r\n\r\n/.test(text)).catch(() => "");
      client.reset();
    });
    await Promise.all(clients);
    const pools = await front.until("none in flight", isQuiet);
    const requests = pools[0]?.backends.reduce((sum, each) => sum + each.requests, 0) ?? 0;
    expect(requests).toBeGreaterThanOrEqual(150);
    expect(front.log()).not.toContain("the proxy failed");
  });
});

describe("a killed worker", () => {
  test("gives back what it held, and is replaced", async () => {
    const silent = backend(() => null);
    const front = await proxy({
      config: { pools: { web: { backends: [silent.url] } }, workers: 2 },
    });
    const clients = await Promise.all(Array.from({ length: 20 }, () => connectRaw(front.port)));
    for (const client of clients) client.send(get);
    await front.until("20 in flight", (pools) => sumInFlight(pools) === 20);
    const [first, second] = await front.workers();
    if (first === undefined || second === undefined) throw new Error("two workers expected");
    process.kill(first.pid, "SIGKILL");
    process.kill(second.pid, "SIGKILL");
    await Promise.all(clients.map((client) => client.closed));
    await front.until("none in flight", isQuiet);
    silent.handler = () => "back";
    await untilServing(front);
    const after = await front.workers();
    expect(after.map(({ restarts }) => restarts)).toEqual([1, 1]);
    expect(after.map(({ pid }) => pid)).not.toContain(first.pid);
  });

  test("costs the requests in it, and no others", async () => {
    const held = backend(({ target }, wire) => {
      if (target === "/quick") return "quick";
      wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
      return undefined;
    });
    const front = await proxy({ config: { pools: { web: { backends: [held.url] } }, workers: 2 } });
    const clients = await Promise.all(Array.from({ length: 20 }, () => connectRaw(front.port)));
    for (const client of clients) client.send(get);
    await Promise.all(clients.map((client) => client.until((text) => text.includes("abc"))));
    const [victim] = await front.workers();
    process.kill(victim?.pid ?? 0, "SIGKILL");
    await front.until("fewer in flight", (pools) => sumInFlight(pools) < 20);
    const left = sumInFlight(await front.pools());
    for (const wire of held.wires) wire.write("0\r\n\r\n");
    const whole = await Promise.all(
      clients.map((client) =>
        client
          .until((text) => text.endsWith("0\r\n\r\n"))
          .then(
            () => true,
            () => false,
          ),
      ),
    );
    expect(whole.filter(Boolean)).toHaveLength(left);
    await front.until("none in flight", isQuiet);
    for (const client of clients) client.end();
  });
});

async function untilServing(front: Proxy): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (performance.now() < deadline) {
    try {
      if ((await (await fetch(front.url)).text()) === "back") return;
    } catch {
      // Nobody listens between the death of a worker and its replacement.
    }
    await Bun.sleep(10);
  }
  throw new Error(`never served again:\n${front.log()}`);
}
