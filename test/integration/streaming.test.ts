/** Large bodies and slow peers: memory stays bounded and nothing is lost, with the compiled binary. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { BUILD_TIMEOUT_MS } from "../_support/binary.ts";
import { isQuiet, type Proxy, startProxy } from "../_support/proxy.ts";
import { connectRaw } from "../_support/raw-client.ts";
import { startSink, startSource } from "../_support/bulk-backend.ts";

const GIB = 2 ** 30;
const ALLOWED_GROWTH = 64 * 2 ** 20;
/** What kernel buffers on loopback may hold of a stream that nobody reads. */
const IN_FLIGHT_BYTES = 32 * 2 ** 20;

const source = startSource(GIB);
const sink = startSink();
let proxy: Proxy;

beforeAll(async () => {
  proxy = await startProxy({
    config: {
      pools: {
        down: { backends: [source.url], health: false },
        up: { backends: [sink.url], health: false, body: { max: "2GiB" } },
      },
      routes: [{ path: "/down/*", pool: "down" }, { pool: "up" }],
      workers: 1,
    },
  });
}, BUILD_TIMEOUT_MS);

afterAll(async () => {
  await proxy.stop();
  source.stop();
  sink.stop();
});

/** Resident bytes of the worker, now and at most since `reset`. */
async function workerMemory(): Promise<{ now(): number }> {
  const [worker] = await proxy.workers();
  const status = `/proc/${worker?.pid}/status`;
  return { now: () => 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(status, "utf8"))?.[1]) };
}

/** The highest `sample` seen until `done` settles. */
async function peakWhile(done: Promise<unknown>, sample: () => number): Promise<number> {
  let peak = sample();
  const timer = setInterval(() => {
    peak = Math.max(peak, sample());
  }, 20);
  await done;
  clearInterval(timer);
  return Math.max(peak, sample());
}

/** Resolves when `value` has not changed for ten looks: the stream has come to rest. */
async function settled(value: () => number): Promise<number> {
  for (let last = value(), same = 0; ;) {
    await Bun.sleep(50);
    same = value() === last ? same + 1 : 0;
    last = value();
    if (same === 10) return last;
  }
}

describe("1 GiB down to a client that stops reading, and then reads on", () => {
  test("holds the backend back, stays small, and arrives whole", async () => {
    const memory = await workerMemory();
    const before = memory.now();
    const client = await connectRaw(proxy.port, { keep: false });
    client.send("GET /down/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    while (client.receivedBytes() === 0) await Bun.sleep(5);
    client.pause();
    const sent = await settled(() => source.sent());
    expect(sent).toBeLessThan(IN_FLIGHT_BYTES);
    client.resume();
    const peak = await peakWhile(client.closed, memory.now);
    expect(peak - before).toBeLessThan(ALLOWED_GROWTH);
    expect(client.receivedBytes()).toBeGreaterThanOrEqual(GIB);
    expect(source.sent()).toBe(GIB);
    await proxy.until("none in flight", isQuiet);
  }, 120_000);
});

describe("1 GiB up to a backend that stops reading, and then reads on", () => {
  test.each(["content-length", "chunked"] as const)(
    "holds the client back, stays small, and arrives whole (%s)",
    async (framing) => {
      sink.restart();
      const memory = await workerMemory();
      const before = memory.now();
      let given = 0;
      const piece = new Uint8Array(1 << 20).fill(120);
      const body = new ReadableStream({
        pull(controller) {
          if (given === GIB) {
            controller.close();
            return;
          }
          given += piece.length;
          controller.enqueue(piece);
        },
      });
      const headers: Record<string, string> =
        framing === "chunked" ? {} : { "content-length": String(GIB) };
      const answer = fetch(`${proxy.url}/up`, { method: "POST", body, headers });
      await settled(() => given);
      expect(sink.received()).toBe(0);
      expect(given).toBeLessThan(IN_FLIGHT_BYTES * 2);
      sink.resume();
      const peak = await peakWhile(answer, memory.now);
      expect(await (await answer).text()).toBe(framing);
      expect(peak - before).toBeLessThan(ALLOWED_GROWTH);
      expect(sink.received()).toBe(GIB);
      await proxy.until("none in flight", isQuiet);
    },
    120_000,
  );
});
