/**
 * Events reach the client when the backend sends them, not when there is more: a backend that waits for the client's
 * word before it sends the next one would wait for ever otherwise. `test/bench/event-stream.bench.ts` measures the
 * delay. And how much of an answer's head is there before its body.
 */
import { describe, expect, test } from "bun:test";
import type { FakeRequest, FakeWire } from "../_support/fake-backend.ts";
import { useHarness } from "../_support/harness.ts";
import { parseResponse } from "../_support/parsed-response.ts";
import { isQuiet } from "../_support/proxy.ts";
import { connectRaw } from "../_support/raw-client.ts";

const { backend, proxy } = useHarness();

const EVENTS = 100;
const OK = "HTTP/1.1 200 OK\r\n";

/** What the client says to the backend beside the proxy: how many events it has seen. */
class Acknowledged {
  #seen = -1;
  #waiting: PromiseWithResolvers<void> | null = null;

  tell(count: number): void {
    this.#seen = count;
    this.#waiting?.resolve();
  }

  async until(count: number): Promise<void> {
    while (this.#seen < count) {
      this.#waiting = Promise.withResolvers();
      await this.#waiting.promise;
    }
  }
}

/** Sends each event once the client has the one before. */
async function sendEvents(
  wire: FakeWire,
  acknowledged: Acknowledged,
  framed: (event: string) => string,
): Promise<void> {
  for (let i = 1; i <= EVENTS; i++) {
    await acknowledged.until(i - 1);
    await wire.write(framed(`id: ${i}\ndata: event ${i}\n\n`));
  }
  await acknowledged.until(EVENTS);
}

const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

describe("server-sent events", () => {
  test.each([
    ["chunked", "Transfer-Encoding: chunked\r\n", chunk, "1.1"],
    ["up to the end", "", (text: string) => text, "1.1"],
    ["chunked, to an HTTP/1.0 client", "Transfer-Encoding: chunked\r\n", chunk, "1.0"],
    ["one byte in a write", "Transfer-Encoding: chunked\r\n", chunk, "1.1"],
  ] as const)(
    "(%s) each arrive before the backend sends the next [E04]",
    async (how, framing, framed, version) => {
      const acknowledged = new Acknowledged();
      const events = backend(async (_request: FakeRequest, wire: FakeWire) => {
        const write = async (text: string): Promise<void> => {
          for (const piece of how.startsWith("one byte") ? text : [text]) await wire.write(piece);
        };
        await write(`${OK}Content-Type: text/event-stream; charset=utf-8\r\n${framing}\r\n`);
        await sendEvents({ write } as FakeWire, acknowledged, framed);
        if (framing !== "") await write("0\r\n\r\n");
        wire.fin();
      });
      const front = await proxy({ config: { pools: { web: { backends: [events.url] } } } });
      const client = await connectRaw(front.port);
      client.send(
        `GET / HTTP/${version}\r\nHost: a\r\nConnection: close\r\nAccept: text/event-stream\r\n\r\n`,
      );
      for (let i = 0; i < EVENTS; i++) {
        acknowledged.tell(i);
        await client.until((text) => {
          return parseResponse([text], { thenEnd: false }).body.endsWith(`event ${i + 1}\n\n`);
        });
      }
      acknowledged.tell(EVENTS);
      await client.closed;
      expect(client.received()).toMatch(/content-type: text\/event-stream; charset=utf-8\r\n/i);
      const response = parseResponse([client.received()]);
      expect(response).toMatchObject({ complete: true, overrun: false });
      expect(response.body.match(/^data: event \d+$/gm)).toHaveLength(EVENTS);
      await front.until("none in flight", isQuiet);
    },
  );

  test("may be silent for many times timeouts.idle, while an ordinary body may not [E04]", async () => {
    const types = { "/events": "text/event-stream", "/file": "text/plain" };
    const silent = backend(async ({ target }, wire) => {
      const type = types[target as keyof typeof types];
      await wire.write(`${OK}Content-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n`);
      await wire.write(chunk("data: 1\n\n"));
      return null;
    });
    const front = await proxy({
      config: {
        pools: { web: { backends: [silent.url], health: false, timeouts: { idle: "200ms" } } },
        workers: 1,
      },
    });
    const events = await connectRaw(front.port);
    events.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
    await events.until((text) => text.includes("data: 1"));
    // Each of these is cut after timeouts.idle: the stream has been silent for longer than all of them together.
    for (let i = 0; i < 5; i++) {
      const file = await connectRaw(front.port);
      file.send("GET /file HTTP/1.1\r\nHost: a\r\n\r\n");
      await file.closed;
      expect(parseResponse([file.received()], { thenEnd: true }).complete).toBeFalse();
    }
    for (const wire of silent.wires) await wire.write(chunk("data: 2\n\n"));
    await events.until((text) => text.includes("data: 2"));
    events.reset();
    await front.until("none in flight", isQuiet);
  });
});

describe("the head of an answer", () => {
  const slow = "x".repeat(1000);
  test.each([
    ["in chunks", "Transfer-Encoding: chunked\r\n", `3e8\r\n${slow}\r\n0\r\n\r\n`],
    ["up to the end", "", slow],
    ["of a length that is short", "Content-Length: 1000\r\n", slow],
    ["of a large length", "Content-Length: 1000000\r\n", slow.repeat(1000)],
  ])("(%s) is there before its body [E05]", async (_how, framing, body) => {
    const seen = Promise.withResolvers<void>();
    const waiting = backend(async (_request, wire) => {
      await wire.write(`${OK}X-Early: 1\r\n${framing}\r\n`);
      await seen.promise;
      await wire.write(body);
      if (framing === "") wire.fin();
      return undefined;
    });
    const front = await proxy({
      config: { pools: { web: { backends: [waiting.url] } }, workers: 1 },
    });
    const client = await connectRaw(front.port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    const head = await client.until((text) => text.endsWith("\r\n\r\n"));
    expect(head).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(head).toContain("\r\nX-Early: 1\r\n");
    seen.resolve();
    await client.closed;
    const response = parseResponse([client.received()]);
    expect(response).toMatchObject({ complete: true, overrun: false });
    expect(response.body.length).toBe(framing.includes("1000000") ? 1_000_000 : 1000);
  });
});
