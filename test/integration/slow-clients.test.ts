/** Clients that take their time are served; those that stopped are ended. */
import { describe, expect, test } from "bun:test";
import { startSource } from "../_support/bulk-backend.ts";
import { useHarness } from "../_support/harness.ts";
import { isQuiet } from "../_support/proxy.ts";
import { connectRaw } from "../_support/raw-client.ts";
import { connectSlowReader } from "../_support/slow-reader.ts";

const { backend, proxy } = useHarness();

describe("a client that reads an answer", () => {
  test("and stops is ended after timeouts.idle, and its backend's request with it [F10]", async () => {
    const source = startSource(2 ** 30);
    try {
      const front = await proxy({
        config: {
          pools: { web: { backends: [source.url], health: false, timeouts: { idle: "1s" } } },
          workers: 1,
        },
      });
      const client = await connectRaw(front.port, { keep: false });
      client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      while (client.receivedBytes() === 0) await Bun.sleep(5);
      client.pause();
      const pools = await front.until("its end", isQuiet);
      expect(pools[0]?.backends[0]?.failures).toBe(0);
      expect(source.sent()).toBeLessThan(2 ** 30);
      client.resume();
      await client.closed;
    } finally {
      source.stop();
    }
  });

  // The step in which the kernel makes room is set on Linux only.
  test.skipIf(process.platform !== "linux")(
    "at 200 KB a second is not cut although 2 s are the limit; one at 10 bytes a second is [F10]",
    async () => {
      const source = startSource(2 ** 30);
      const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
      const front = await proxy({
        config: {
          pools: { web: { backends: [source.url], health: false, timeouts: { idle: "2s" } } },
          workers: 1,
        },
      });
      const steady = connectSlowReader(front.port, request);
      const dripping = Array.from({ length: 20 }, () => connectSlowReader(front.port, request));
      try {
        const inFlight = async () => (await front.pools())[0]?.backends[0]?.inFlight ?? 0;
        while ((await inFlight()) < 21) await Bun.sleep(5);
        let turns = 0;
        // Longer than the limit by far, and until those that drip are gone.
        for (; turns < 60 || (await inFlight()) > 1; turns++) {
          expect(steady.take(20_000)).not.toBeNull();
          for (const client of dripping) client.take(1);
          await Bun.sleep(100);
        }
        expect(await inFlight()).toBe(1);
        const sentBefore = source.sent();
        while (source.sent() === sentBefore) {
          expect(steady.take(20_000)).not.toBeNull();
          await Bun.sleep(20);
        }
      } finally {
        for (const client of [steady, ...dripping]) client.close();
        source.stop();
      }
      const [pool] = await front.until("none in flight", isQuiet);
      expect(pool?.backends[0]?.failures).toBe(0);
    },
  );

  test("steadily but slowly is not cut, however long it takes [F10]", async () => {
    const bytes = 160 * 2 ** 20;
    // And what the runtime reads at once, half a MiB.
    const STEP = 4 * 2 ** 20;
    const source = startSource(bytes);
    try {
      const front = await proxy({
        config: {
          pools: { web: { backends: [source.url], health: false, timeouts: { idle: "1s" } } },
          workers: 1,
        },
      });
      const client = await connectRaw(front.port, { keep: false });
      client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      const story = { over: false };
      const closed = client.closed.then(() => {
        story.over = true;
      });
      // A little at a time, in steps that are each shorter than the idle timeout.
      let steps = 0;
      for (; !story.over; steps++) {
        const wanted = client.receivedBytes() + STEP;
        const there = client.until(() => {
          if (client.receivedBytes() < Math.min(wanted, bytes)) return false;
          if (client.receivedBytes() < bytes) client.pause();
          return true;
        });
        client.resume();
        await Promise.race([there.catch(() => {}), closed]);
        await Bun.sleep(100);
      }
      // It took several times the idle timeout.
      expect(steps).toBeGreaterThan(20);
      expect(client.receivedBytes()).toBeGreaterThanOrEqual(bytes);
    } finally {
      source.stop();
    }
  });
});

describe("a client that sends a body", () => {
  test("and stops gets 408 after timeouts.idle, and no backend is blamed [F09]", async () => {
    const { url } = backend();
    const front = await proxy({
      config: { pools: { web: { backends: [url], timeouts: { idle: "1s" } } }, workers: 1 },
    });
    const client = await connectRaw(front.port);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc");
    const received = await client.until((text) => text.includes("}\n"));
    expect(received).toStartWith("HTTP/1.1 408 ");
    expect(received).toContain('"code":"body_timeout"');
    const pools = await front.until("none in flight", isQuiet);
    expect(pools[0]?.backends[0]?.failures).toBe(0);
    client.end();
  });

  test("a byte at a time, 50 of them, are ended by timeouts.request; others are served meanwhile [F09]", async () => {
    const one = backend((request) => request.target);
    const pool = { backends: [one.url], health: false, timeouts: { request: "2s" } } as const;
    const front = await proxy({ config: { pools: { web: pool }, workers: 1 } });
    const slow = await Promise.all(Array.from({ length: 50 }, () => connectRaw(front.port)));
    for (const client of slow) {
      client.send("POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    }
    const drip = setInterval(() => {
      for (const client of slow) client.send("x");
    }, 100);
    try {
      let ended = 0;
      const ends = slow.map(async (client) => {
        await client.until((text) => text.includes("}\n"));
        ended++;
      });
      let served = 0;
      for (; ended < slow.length; served++) {
        expect(await (await fetch(`${front.url}/quick`)).text()).toBe("/quick");
      }
      await Promise.all(ends);
      expect(served).toBeGreaterThan(50);
    } finally {
      clearInterval(drip);
    }
    for (const client of slow) {
      expect(client.received()).toStartWith("HTTP/1.1 504 ");
      expect(client.received()).toContain('"code":"request_timeout"');
      client.end();
    }
    const pools = await front.until("none in flight", isQuiet);
    expect(pools[0]?.backends[0]?.failures).toBe(0);
    expect(one.requests.filter(({ target, complete }) => target === "/slow" && complete)).toEqual(
      [],
    );
  });

  test("a byte at a time is served", async () => {
    const one = backend();
    const front = await proxy({
      config: { pools: { web: { backends: [one.url], timeouts: { idle: "3s" } } }, workers: 1 },
    });
    const client = await connectRaw(front.port);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n");
    for (const byte of "slowbody") {
      client.send(byte);
      await Bun.sleep(500);
    }
    await client.until((text) => text.endsWith("ok"));
    expect(one.requests[0]?.text).toBe("slowbody");
    client.end();
  });
});

describe("server-sent events", () => {
  test("are passed on one by one, and may be silent for longer than timeouts.idle", async () => {
    const events = backend((_request, wire) => {
      wire.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
    });
    const front = await proxy({
      config: { pools: { web: { backends: [events.url], timeouts: { idle: "500ms" } } } },
    });
    const client = await connectRaw(front.port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.until((text) => text.includes("data: 1"));
    await Bun.sleep(2500);
    for (const wire of events.wires) wire.write("data: 2\n\n");
    await client.until((text) => text.includes("data: 2"));
    client.reset();
    await front.until("none in flight", isQuiet);
  });
});
