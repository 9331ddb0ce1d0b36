/**
 * A body is framed anew for the client that asked: an HTTP/1.0 client, which knows no chunks, gets it until the end of
 * the connection; an HTTP/1.1 client can see the end of a body that the backend ended by closing.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { BUILD_TIMEOUT_MS } from "../_support/binary.ts";
import { startFakeBackend } from "../_support/fake-backend.ts";
import { Client } from "../_support/lying-backend.ts";
import { type Proxy, startProxy } from "../_support/proxy.ts";
import { connectRaw } from "../_support/raw-client.ts";

const OK = "HTTP/1.1 200 OK\r\n";
/** No two stretches of it are alike. */
const LONG = Array.from({ length: 100_000 }, (_, line) => `${line}\n`).join("");

const backend = startFakeBackend();
let proxy: Proxy;

beforeAll(async () => {
  const pool = { backends: [backend.url], health: false, ejection: false } as const;
  proxy = await startProxy({ config: { workers: 1, pools: { web: pool } } });
}, BUILD_TIMEOUT_MS);

afterAll(async () => {
  expect(await proxy.stop()).toBe(0);
  expect(backend.refused).toEqual([]);
  backend.stop();
});

interface Received {
  readonly head: string;
  readonly body: string;
  readonly end: "fin" | "reset";
}

/** Everything until the connection ends. */
async function askOld(request: string): Promise<Received> {
  const connection = await connectRaw(proxy.port);
  connection.send(`${request}\r\n`);
  const end = await connection.closed;
  const received = connection.received();
  const at = received.indexOf("\r\n\r\n");
  return { head: received.slice(0, at), body: received.slice(at + 4), end };
}

describe("an HTTP/1.0 client", () => {
  const REQUESTS = [
    "GET / HTTP/1.0\r\n",
    "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n",
    "POST / HTTP/1.0\r\nContent-Length: 0\r\n",
  ];

  test.each(REQUESTS)(
    "gets a chunked body without its chunks, until the close: %j [R10]",
    async (request) => {
      for (const [body, chunkBytes] of [
        ["ok", 1],
        ["", 1],
        [LONG, 7000],
      ] as const) {
        const chunks = Array.from({ length: Math.ceil(body.length / chunkBytes) }, (_, index) => {
          return chunk(body.slice(index * chunkBytes, (index + 1) * chunkBytes));
        });
        const head = `${OK}Transfer-Encoding: chunked\r\n\r\n`;
        // All at once; and with an end that the proxy does not see coming.
        for (const raw of [
          [head, ...chunks, "0\r\n\r\n"],
          [`${head}${chunks.join("")}`, "0\r\n\r\n"],
        ]) {
          backend.handler = () => ({ raw, gapMs: 0 });
          const answer = await askOld(request);
          expect(answer.head).toStartWith("HTTP/1.1 200 OK\r\n");
          expect(answer.head).not.toMatch(/transfer-encoding/i);
          expect(answer.body === body).toBe(true);
          expect(answer.end).toBe("fin");
        }
      }
    },
  );

  test("gets a body of known length whole, however long it is [R10]", async () => {
    for (const body of ["ok", LONG]) {
      backend.handler = () => ({ body });
      const answer = await askOld("GET / HTTP/1.0\r\nConnection: keep-alive\r\n");
      expect(answer.head).not.toMatch(/transfer-encoding/i);
      expect(answer.body === body).toBe(true);
      expect(answer.end).toBe("fin");
    }
  });

  test.each(["fin", "reset"] as const)(
    "sees that a body broke off (%s), although the close is its only end [R10]",
    async (afterwards) => {
      for (const start of [
        "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        "Content-Length: 3\r\n\r\nok",
      ]) {
        const arrived = Promise.withResolvers<void>();
        backend.handler = async (_request, wire) => {
          await wire.write(`${OK}${start}`);
          await arrived.promise;
          wire[afterwards]();
          return undefined;
        };
        const connection = await connectRaw(proxy.port);
        connection.send("GET / HTTP/1.0\r\n\r\n");
        await connection.until((received) => received.endsWith("\r\n\r\nok"));
        arrived.resolve();
        expect(await connection.closed).toBe("reset");
      }
    },
  );

  test("gets the same head to HEAD as others, and the close [R10]", async () => {
    backend.handler = () => ({ raw: [`${OK}Transfer-Encoding: chunked\r\nX-A: b\r\n\r\n`] });
    const answer = await askOld("HEAD / HTTP/1.0\r\n");
    expect(answer.head).toMatch(/^x-a: b$/im);
    expect(answer).toMatchObject({ body: "", end: "fin" });
  });
});

describe("an HTTP/1.1 client", () => {
  test.each([
    "HTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.0 200 OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
  ])(
    "sees where a body ends that ends with its connection, and goes on: %j [R10]",
    async (head) => {
      const client = await Client.connect(proxy.port);
      for (const body of ["all", "", LONG]) {
        for (const raw of [[head + body], [head, body]]) {
          backend.handler = () => ({ raw, afterwards: "fin" });
          const answer = await client.ask({});
          expect(answer).toMatchObject({ complete: true, overrun: false, head: { status: 200 } });
          expect(answer.head?.framing).not.toBe("close");
          expect(answer.body === body).toBe(true);
        }
      }
      client.end();
    },
  );

  test("sees that such a body broke off [R10]", async () => {
    const arrived = Promise.withResolvers<void>();
    backend.handler = async (_request, wire) => {
      await wire.write(`${OK}\r\nto the en`);
      await arrived.promise;
      wire.reset();
      return undefined;
    };
    const connection = await connectRaw(proxy.port);
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await connection.until((received) => received.includes("to the en"));
    arrived.resolve();
    expect(await connection.closed).toBe("reset");
    expect(connection.received()).not.toContain("\r\n0\r\n");
  });
});

function chunk(body: string): string {
  return `${body.length.toString(16)}\r\n${body}\r\n`;
}
