/** Bodies in very many pieces, in one very large piece, of very great length, and very many very small ones. */
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { startFakeBackend } from "../_support/fake-backend.ts";
import { parseResponse } from "../_support/parsed-response.ts";
import { isQuiet, type Proxy, startProxy } from "../_support/proxy.ts";
import { connectRaw } from "../_support/raw-client.ts";
import { useSharedProxy } from "../_support/shared-proxy.ts";

const backend = startFakeBackend();
let proxy: Proxy;

useSharedProxy(backend, { body: { max: "8GiB" } }, (started) => {
  proxy = started;
});

/** Of no pattern that could hide a piece out of its place. */
function bodyOf(length: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(length / 32) }, (_, i) => {
    return createHash("sha256").update(String(i)).digest();
  });
  return Buffer.concat(blocks).subarray(0, length);
}

function chunked(body: Buffer, size: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; at += size) {
    const piece = body.subarray(at, at + size);
    parts.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n"));
  }
  return Buffer.concat([...parts, Buffer.from("0\r\n\r\n")]);
}

/** Writes pieces of this many bytes that are segments of their own, as far as anybody can say. */
async function inSegments(
  bytes: Buffer,
  size: number,
  write: (piece: Buffer) => unknown,
): Promise<void> {
  for (let at = 0; at < bytes.length; at += size) {
    await write(bytes.subarray(at, at + size));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const many = { body: bodyOf(100_000), chunk: 1 };
const cases = [
  ["100,000 chunks of a byte", many, 2 ** 30],
  ["100,000 chunks of a byte, cut every 1021 bytes", many, 1021],
  ["chunks of 5 bytes, cut every 7 bytes", { body: bodyOf(5000), chunk: 5 }, 7],
  ["chunks of 300 bytes, cut within each size and end", { body: bodyOf(30_000), chunk: 300 }, 61],
  ["one chunk of 16 MiB", { body: bodyOf(16 * 2 ** 20), chunk: 2 ** 30 }, 2 ** 30],
] as const;

describe("a body", () => {
  test.each(cases)(
    "down in %s arrives byte for byte [E23]",
    async (_what, { body, chunk }, cut) => {
      backend.handler = async (_request, wire) => {
        await wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        await inSegments(chunked(body, chunk), cut, (piece) => wire.write(piece));
      };
      const client = await connectRaw(proxy.port);
      client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      await client.closed;
      const response = parseResponse([client.received()]);
      expect(response).toMatchObject({ complete: true, overrun: false });
      expect(Buffer.from(response.body, "latin1").equals(body)).toBeTrue();
    },
  );

  test.each(cases)("up in %s arrives byte for byte [E23]", async (_what, { body, chunk }, cut) => {
    backend.handler = (request) => String(request.body.equals(body));
    const client = await connectRaw(proxy.port);
    client.send(
      "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    await inSegments(chunked(body, chunk), cut, (piece) => client.send(piece));
    await client.closed;
    expect(client.received()).toEndWith("\r\n\r\ntrue");
  });

  test.each([2 ** 27 + 1, 2 ** 32 + 5, 8 * 2 ** 30])(
    "of %d announced bytes goes out under that length, as it comes [E24]",
    async (length) => {
      const seen = backend.requests.length;
      backend.handler = () => null;
      const client = await connectRaw(proxy.port);
      client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\nthe first bytes`);
      await backend.until(() => backend.requests[seen]?.text === "the first bytes");
      expect(backend.requests[seen]?.header("content-length")).toBe(String(length));
      client.reset();
      await backend.until(() => backend.requests[seen]?.brokenOff !== null);
      expect(backend.requests[seen]?.complete).toBeFalse();
    },
  );

  test("of a byte more than body.max is refused before any of it is sent [E24]", async () => {
    const seen = backend.requests.length;
    const client = await connectRaw(proxy.port);
    client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${8 * 2 ** 30 + 1}\r\n\r\n`);
    const received = await client.until((text) => text.includes('"code":"body_too_large"'));
    expect(received).toStartWith("HTTP/1.1 413 ");
    expect(backend.requests).toHaveLength(seen);
    client.reset();
  });
});

describe("tens of thousands of answers", () => {
  /** Ten MB of zeros in ten KB: to whoever unpacks it. */
  const bomb = Bun.gzipSync(new Uint8Array(10_000_000));
  const answers = {
    "/none": "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "/byte": "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
    "/chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    "/bomb": Buffer.concat([
      Buffer.from(
        `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${bomb.length}\r\n\r\n`,
      ),
      bomb,
    ]),
  };
  const lengths = { "/none": 0, "/byte": 1, "/chunk": 1, "/bomb": bomb.length };
  type Kind = keyof typeof answers;
  const ROUND: readonly [kind: Kind, count: number][] = [
    ["/none", 4000],
    ["/byte", 4000],
    ["/chunk", 1000],
    ["/bomb", 1000],
  ];
  const ROUND_REQUESTS = ROUND.reduce((sum, [, count]) => sum + count, 0);
  /** Of each answer, by a leak that has to be found. */
  const LEAKED_BYTES = 1024;

  /** On connections that are kept, one request after the other on each. */
  async function askFor({ port: own }: Proxy, kind: Kind, count: number): Promise<void> {
    const ask = async (port: number, times: number): Promise<void> => {
      const client = await connectRaw(port);
      const request = `GET ${kind} HTTP/1.1\r\nHost: a\r\n\r\n`;
      let at = 0;
      for (let i = 0; i < times; i++) {
        client.send(request);
        at = await client.until(isWhole).then((text) => text.length);
      }
      client.end();

      function isWhole(text: string): boolean {
        const end = text.indexOf("\r\n\r\n", at);
        return end !== -1 && text.length === end + 4 + lengths[kind];
      }
    };
    await Promise.all(Array.from({ length: 20 }, () => ask(own, count / 20)));
  }

  test("of no byte, of one, and of one that unpacks to a thousand times its size leave nothing behind [E26]", async () => {
    const bare = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket, bytes) {
          const kind = bytes.toString("latin1", 4, 10).trim() as Kind;
          socket.write(answers[kind]);
        },
      },
    });
    const own = await startProxy({
      config: {
        pools: { web: { backends: [`http://127.0.0.1:${bare.port}`], health: false } },
        workers: 1,
      },
    });
    const [worker] = await own.workers();
    const folder = `/proc/${worker?.pid}`;
    const rss = () =>
      1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`${folder}/status`, "utf8"))?.[1]);
    const round = async (): Promise<void> => {
      for (const [kind, count] of ROUND) await askFor(own, kind, count);
    };
    await round();
    const before = rss();
    // Memory grows in steps of 30 MB, or shrinks, without a leak: one would go on growing, a step would not.
    let growth = Number.POSITIVE_INFINITY;
    for (let rounds = 1; rounds <= 10; rounds++) {
      await round();
      growth = (rss() - before) / (rounds * ROUND_REQUESTS);
      if (rounds >= 3 && growth < LEAKED_BYTES / 2) break;
    }
    expect(growth).toBeLessThan(LEAKED_BYTES / 2);
    await own.until("none in flight", isQuiet);
    expect(await own.stop()).toBe(0);
    bare.stop(true);
  }, 180_000);
});
