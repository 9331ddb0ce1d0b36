/** Answers that come before the request is whole: the client gets them, nobody is blamed. */
import { describe, expect, test } from "bun:test";
import { useHarness } from "../_support/harness.ts";
import { isQuiet } from "../_support/proxy.ts";
import { connectRaw } from "../_support/raw-client.ts";
import { startRefusingBackend } from "../_support/refusing-backend.ts";

const { backend, proxy } = useHarness();

describe("a backend that refuses an upload without reading it", () => {
  test("and resets the connection: every client gets its answer, and it is not ejected [E06]", async () => {
    const refusing = startRefusingBackend();
    try {
      const front = await proxy({
        config: { pools: { web: { backends: [refusing.url], health: false } }, workers: 1 },
      });
      const body = new Uint8Array(300_000);
      for (let i = 0; i < 40; i++) {
        const response = await fetch(front.url, { method: "POST", body });
        expect([response.status, await response.text()]).toEqual([401, "no"]);
      }
      const [pool] = await front.pools();
      expect(pool?.backends[0]).toMatchObject({ failures: 0, ejectedUntil: null, inFlight: 0 });
    } finally {
      refusing.stop();
    }
  });

  test("and goes on reading: the next request of the client's connection is answered [E06]", async () => {
    const early = backend({
      answerAt: "head",
      handler: ({ target }) => ({ status: target === "/no" ? 413 : 200, body: target }),
    });
    const front = await proxy({
      config: { pools: { web: { backends: [early.url], health: false } }, workers: 1 },
    });
    const client = await connectRaw(front.port);
    client.send("POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n");
    client.send(new Uint8Array(2_000_000));
    await client.until((text) => text.includes("/no"));
    client.send("GET /yes HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.until((text) => text.includes("/yes"));
    client.end();
  });
});

describe("a backend that answers after the first KB of a large upload", () => {
  const size = 20_000_000;
  test.each(
    [413, 200].flatMap((status) =>
      (["Content-Length", "chunked"] as const).flatMap((framing) =>
        (["reads on", "closes", "resets"] as const).map((then) => [status, framing, then] as const),
      ),
    ),
  )(
    "(%d, to %s, and %s): its answer arrives, whole, and so does the next [E06]",
    async (status, framing, then) => {
      const early = backend({
        answerAt: "head",
        keepBodies: false,
        handler: async (request, wire) => {
          if (request.target === "/next") return "next";
          await early.until(() => request.bodyLength >= 1024);
          await wire.write(`HTTP/1.1 ${status} X\r\nContent-Length: 5\r\n\r\nearly`);
          await answered.promise;
          if (then === "closes") wire.fin();
          if (then === "resets") wire.reset();
          return undefined;
        },
      });
      const answered = Promise.withResolvers<void>();
      const front = await proxy({
        config: { pools: { web: { backends: [early.url], health: false } }, workers: 1 },
      });
      const client = await connectRaw(front.port);
      const chunked = framing === "chunked";
      const field = chunked ? "Transfer-Encoding: chunked" : `Content-Length: ${size}`;
      client.send(`POST / HTTP/1.1\r\nHost: a\r\n${field}\r\n\r\n`);
      if (chunked) client.send(`${size.toString(16)}\r\n`);
      client.send(new Uint8Array(1024));
      const received = await client.until((text) => text.includes("early"));
      expect(received).toStartWith(`HTTP/1.1 ${status} `);
      answered.resolve();
      // The client, knowing no better, goes on; the proxy reads it to its end, or has said that it will not.
      client.send(new Uint8Array(size - 1024));
      if (chunked) client.send("\r\n0\r\n\r\n");
      let next = client;
      if (/connection: close/i.test(received)) next = await connectRaw(front.port);
      next.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
      expect(await next.until((text) => text.endsWith("next"))).toContain("HTTP/1.1 200 ");
      expect(early.requests.map(({ target }) => target)).toEqual(["/", "/next"]);
      expect(early.requests[0]?.complete).toBeFalse();
      const [pool] = await front.until("none in flight", isQuiet);
      expect(pool?.backends[0]?.failures).toBe(0);
      client.reset();
    },
  );
});

describe("a body above body.max", () => {
  test.each(["Content-Length: 2000\r\n", "Transfer-Encoding: chunked\r\n"])(
    "is refused with our own 413 (%j) [E24]",
    async (framing) => {
      const { url } = backend();
      const front = await proxy({
        config: { pools: { web: { backends: [url], body: { max: "1KiB" } } }, workers: 1 },
      });
      const client = await connectRaw(front.port);
      client.send(`POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n`);
      const body = "x".repeat(2000);
      client.send(framing.startsWith("T") ? `7d0\r\n${body}\r\n0\r\n\r\n` : body);
      const received = await client.until((text) => text.includes("}\n"));
      expect(received).toStartWith("HTTP/1.1 413 ");
      expect(received).toContain('"code":"body_too_large"');
      expect(received.toLowerCase()).toContain("proxy-status: leastwise; error=");
      client.end();
    },
  );
});
