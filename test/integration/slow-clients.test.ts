/** Clients that take their time are served; those that stopped are ended. */
import { describe, expect, test } from "bun:test";
import { startSource } from "../_support/bulk-backend.ts";
import { useHarness } from "../_support/harness.ts";
import { isQuiet } from "../_support/proxy.ts";
import { connectRaw } from "../_support/raw-client.ts";

const { backend, proxy } = useHarness();

describe("a client that reads an answer", () => {
  test("and stops is ended after timeouts.idle, and its backend's request with it", async () => {
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

  test("steadily but slowly is not cut, however long it takes", async () => {
    const bytes = 160 * 2 ** 20;
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
        const before = client.receivedBytes();
        client.resume();
        while (client.receivedBytes() === before && !story.over) await Bun.sleep(1);
        client.pause();
        if (client.receivedBytes() >= bytes) client.resume();
        await Bun.sleep(100);
      }
      await closed;
      // It took several times the idle timeout.
      expect(steps).toBeGreaterThan(20);
      expect(client.receivedBytes()).toBeGreaterThanOrEqual(bytes);
    } finally {
      source.stop();
    }
  });
});

describe("a client that sends a body", () => {
  test("and stops gets 408 after timeouts.idle, and no backend is blamed", async () => {
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

  test("a byte at a time is served", async () => {
    const one = backend();
    const front = await proxy({
      config: { pools: { web: { backends: [one.url], timeouts: { idle: "1s" } } }, workers: 1 },
    });
    const client = await connectRaw(front.port);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n");
    for (const byte of "slowbody") {
      client.send(byte);
      await Bun.sleep(250);
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
