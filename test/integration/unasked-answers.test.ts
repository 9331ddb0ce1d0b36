/**
 * What a backend sends without having been asked: whole responses on a connection that lies idle, and a change of
 * protocol. Through the compiled binary, whose pool has this one backend only.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { FakeWire } from "../_support/fake-backend.ts";
import { Client, EVIL, useLyingBackend } from "../_support/lying-backend.ts";
import { exchangeRaw } from "../_support/raw-client.ts";

const OK = "HTTP/1.1 200 OK\r\n";

const liar = useLyingBackend();
const { backend } = liar;

describe("on a connection that lies idle", () => {
  const UNASKED: [what: string, bytes: string][] = [
    ["a 408", "HTTP/1.1 408 Request Timeout\r\nContent-Length: 4\r\n\r\nEVIL"],
    ["a 408 that ends with the connection", "HTTP/1.1 408 Request Timeout\r\n\r\nEVIL"],
    ["a 200", EVIL],
    ["two of them", EVIL + EVIL],
    ["a 400 that says close", "HTTP/1.1 400 X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"],
    ["half a head", "HTTP/1.1 200 OK\r\nX-A: EVIL"],
    ["an interim response", "HTTP/1.1 100 Continue\r\n\r\n"],
    ["a byte", "\n"],
  ];

  /** A connection of the proxy's that lies idle, and two clients whose connections do. */
  async function idle(): Promise<{ wire: FakeWire; first: Client; second: Client }> {
    backend.handler = (request) => request.target;
    const first = await Client.connect(liar.proxy.port);
    await liar.canary(first);
    const second = await Client.connect(liar.proxy.port);
    const { connection } = await liar.canary(second);
    const wire = backend.wires.find(({ index }) => index === connection);
    if (wire === undefined) throw new Error("the connection did not stay open");
    return { wire, first, second };
  }

  test.each(UNASKED)(
    "%s: the connection is closed, and no client gets anything of it [R05]",
    async (_what, bytes) => {
      for (const then of ["keep", "fin"] as const) {
        const { wire, first, second } = await idle();
        await wire.write(bytes);
        if (then === "fin") wire.fin();
        const seen = [await liar.canary(second), await liar.canary(first)];
        expect(await wire.closed).not.toBe("us");
        for (const { connection } of seen) expect(connection).not.toBe(wire.index);
        for (const client of [first, second]) {
          expect(client.received).not.toContain("EVIL");
          client.end();
        }
      }
    },
  );

  // With the worker stopped the order in which things reach it is ours to choose; /proc tells that it has stopped.
  test.skipIf(process.platform !== "linux").each(UNASKED)(
    "%s at the moment of the next request, which is seen first: it is not its answer [R05]",
    async (_what, bytes) => {
      const { wire, first, second } = await idle();
      const [worker] = await liar.proxy.workers();
      const pid = worker?.pid as number;
      process.kill(pid, "SIGSTOP");
      let answers: Promise<unknown>;
      try {
        while (stateOf(pid) !== "T") await Bun.sleep(1);
        answers = liar.canary(second).then(({ connection }) => connection);
        await wire.write(bytes);
      } finally {
        process.kill(pid, "SIGCONT");
      }
      expect(await answers).not.toBe(wire.index);
      expect(await wire.closed).not.toBe("us");
      await liar.canary(first);
      for (const client of [first, second]) {
        expect(client.received).not.toContain("EVIL");
        client.end();
      }
    },
  );
});

function stateOf(pid: number): string | undefined {
  return /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"))?.[1];
}

describe("a change of protocol", () => {
  const UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\n";

  test.each(["", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n"])(
    "that nobody asked the backend for is a 502, and nothing is tunnelled: %j [R09]",
    async (fields) => {
      for (const raw of [
        [`HTTP/1.1 101 Switching Protocols\r\n${UPGRADE}\r\nEVIL`],
        [`HTTP/1.1 101 Switching Protocols\r\n${UPGRADE}\r\n`, EVIL],
        ["HTTP/1.1 101 X\r\n\r\n"],
        [`HTTP/1.1 101 X\r\nContent-Length: 4\r\n\r\nEVIL`],
        [`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 X\r\n${UPGRADE}\r\n`],
      ]) {
        const answer = await liar.lie({ raw, fields });
        expect(answer).toMatchObject({ complete: true, head: { status: 502 } });
        expect(JSON.parse(answer.body)).toMatchObject({ error: { code: "bad_response" } });
        const asked = backend.requests.findLast(({ target }) => target === "/lie");
        expect(asked?.all("upgrade")).toEqual([]);
      }
    },
  );

  test.each(["", "Connection: Upgrade\r\nUpgrade: h2c\r\n"])(
    "that is only hinted at by a 200 is a plain 200: what follows is HTTP: %j [R09]",
    async (fields) => {
      for (const end of [
        "Content-Length: 2\r\n\r\nok",
        "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
      ]) {
        // The client's next request goes over the same connection: no tunnel leads from it to the backend.
        const answer = await liar.lie({
          raw: [`${OK}${UPGRADE}${end}`],
          fields,
          inOrder: true,
        });
        expect(answer).toMatchObject({ complete: true, head: { status: 200 }, body: "ok" });
        const names = answer.head?.headers.map(([name]) => name.toLowerCase());
        expect(names).not.toContain("upgrade");
        expect(names).not.toContain("connection");
      }
    },
  );

  test("that a client asks for is refused before the backend hears of it [R09]", async () => {
    backend.handler = () => ({ raw: [`${OK}${UPGRADE}Content-Length: 2\r\n\r\nok`] });
    const seen = backend.requests.length;
    const key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    // What is sent behind it is no request: it may be meant for a tunnel.
    const received = await exchangeRaw(
      liar.proxy.port,
      `GET / HTTP/1.1\r\nHost: a\r\n${UPGRADE}${key}\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`,
    );
    expect(received).toStartWith("HTTP/1.1 501 ");
    expect(received.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(backend.requests.length).toBe(seen);
  });
});
