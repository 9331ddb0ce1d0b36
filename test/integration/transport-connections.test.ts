/** The transport's connections: kept, reused, ended, and those that cannot be made. */
import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ProxyError } from "../../src/errors.ts";
import { MAX_ABANDONED } from "../../src/transport/connector.ts";
import { TransportError } from "../../src/transport/transport-error.ts";
import { type FakeBackend, startFakeBackend } from "../_support/fake-backend.ts";
import { fullBacklog } from "../_support/full-backlog.ts";
import {
  bodyless,
  errorOf,
  fetchText,
  PiecesReader,
  transportTo,
  withBody,
} from "../_support/transport.ts";

const open: { stop(): void }[] = [];

function start(...how: Parameters<typeof startFakeBackend>): FakeBackend {
  const backend = startFakeBackend(...how);
  open.push(backend);
  return backend;
}

afterEach(() => {
  for (const backend of open.splice(0)) backend.stop();
});

describe("keep-alive", () => {
  test("a thousand requests one after the other share one connection [F01]", async () => {
    const backend = start((request) => request.target);
    const transport = transportTo(backend);
    for (let i = 0; i < 1000; i++) {
      expect(await fetchText(transport, bodyless("GET", `/${i}`))).toEqual({
        status: 200,
        text: `/${i}`,
      });
    }
    expect(backend.connections).toBe(1);
    expect(transport).toMatchObject({ openConnections: 1, idleConnections: 1 });
    expect(backend.refused).toEqual([]);
  });

  test("requests at the same time have a connection each, and the store keeps no more than it may", async () => {
    const backend = start(async (request) => {
      await backend.until(() => backend.concurrent === 5 || backend.requests.length > 5);
      return request.target;
    });
    const transport = transportTo(backend, { maxIdle: 2 });
    const texts = await Promise.all(
      [1, 2, 3, 4, 5].map((i) => fetchText(transport, bodyless("GET", `/${i}`))),
    );
    expect(texts.map(({ text }) => text)).toEqual(["/1", "/2", "/3", "/4", "/5"]);
    expect(backend.connections).toBe(5);
    expect(transport).toMatchObject({ openConnections: 2, idleConnections: 2 });
    await backend.until(() => backend.openConnections === 2);
  });

  test("the connection that was used last is used next", async () => {
    const release = Promise.withResolvers<void>();
    const backend = start(async (request) => {
      if (request.index < 2) await release.promise;
      return String(request.connection);
    });
    const transport = transportTo(backend);
    const both = [fetchText(transport, bodyless()), fetchText(transport, bodyless())];
    await backend.seen(2);
    release.resolve();
    await Promise.all(both);
    const first = (await fetchText(transport, bodyless())).text;
    for (let i = 0; i < 5; i++) expect((await fetchText(transport, bodyless())).text).toBe(first);
  });

  test("`fresh` takes a new one though one lies idle", async () => {
    const backend = start();
    const transport = transportTo(backend);
    await fetchText(transport, bodyless());
    const connected: number[] = [];
    const response = transport.send({
      ...bodyless(),
      fresh: true,
      onConnect: (ms) => connected.push(ms),
    }).response;
    expect((await response).status).toBe(200);
    expect(backend.connections).toBe(2);
    expect(connected).toHaveLength(1);
    expect(connected[0]).toBeGreaterThanOrEqual(0);
  });

  test("onConnect is told of new connections only", async () => {
    const transport = transportTo(start());
    let connects = 0;
    for (let i = 0; i < 3; i++)
      await fetchText(transport, { ...bodyless(), onConnect: () => connects++ });
    expect(connects).toBe(1);
  });

  test.each([
    ["Connection: close", [["Connection", "close"]], "HTTP/1.1"],
    ["HTTP/1.0", [], "HTTP/1.0"],
  ] as const)("%s is not kept [F06]", async (_what, fields, version) => {
    const lines = [
      `${version} 200 OK`,
      ...fields.map(([name, value]) => `${name}: ${value}`),
      "Content-Length: 2",
    ];
    const backend = start(() => ({ raw: [`${lines.join("\r\n")}\r\n\r\nok`] }));
    const transport = transportTo(backend);
    for (let i = 0; i < 3; i++) expect((await fetchText(transport, bodyless())).text).toBe("ok");
    expect(backend.connections).toBe(3);
    expect(transport.openConnections).toBe(0);
    await backend.until(() => backend.openConnections === 0);
  });

  test("HTTP/1.0 with keep-alive is kept", async () => {
    const backend = start(() => ({
      raw: ["HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"],
    }));
    const transport = transportTo(backend);
    for (let i = 0; i < 3; i++) await fetchText(transport, bodyless());
    expect(backend.connections).toBe(1);
  });

  test("Keep-Alive: timeout is kept with a margin, a connection that is too old for us is closed too", async () => {
    let now = 0;
    const backend = start(() => ({ body: "ok", headers: [["Keep-Alive", "timeout=5"]] }));
    const transport = transportTo(backend, { now: () => now, maxAgeMs: 20_000 });
    const connectionAfter = async (ms: number) => {
      now += ms;
      await fetchText(transport, bodyless());
      return backend.connections;
    };
    expect(await connectionAfter(0)).toBe(1);
    expect(await connectionAfter(3999)).toBe(1);
    expect(await connectionAfter(3999)).toBe(1);
    expect(await connectionAfter(4000)).toBe(2);
    for (let i = 0; i < 6; i++) expect(await connectionAfter(3000)).toBe(2);
    expect(await connectionAfter(3000)).toBe(3);
  });

  test("an idle connection is closed when its time is over, without anybody asking for it", async () => {
    const backend = start();
    const transport = transportTo(backend, { keepMs: 30 });
    await fetchText(transport, bodyless());
    expect(transport.idleConnections).toBe(1);
    await backend.until(() => backend.openConnections === 0);
    expect(transport).toMatchObject({ openConnections: 0, idleConnections: 0 });
  });

  test("close() ends idle connections at once and those in use with their exchange", async () => {
    const release = Promise.withResolvers<void>();
    const backend = start(async (request) => {
      if (request.target === "/slow") await release.promise;
      return "done";
    });
    const transport = transportTo(backend);
    const slow = fetchText(transport, bodyless("GET", "/slow"));
    await fetchText(transport, bodyless());
    transport.close();
    await backend.until(() => backend.openConnections === 1);
    release.resolve();
    expect((await slow).text).toBe("done");
    await backend.until(() => backend.openConnections === 0);
    expect(transport.openConnections).toBe(0);
  });

  test("every change of the number of connections is told", async () => {
    const seen: string[] = [];
    const backend = start(() => ({ body: "ok", headers: [["Connection", "close"]] }));
    const transport = transportTo(backend, {
      onConnectionsChange: (all, idle) => seen.push(`${all}/${idle}`),
    });
    await fetchText(transport, bodyless());
    backend.handler = () => "ok";
    await fetchText(transport, bodyless());
    await fetchText(transport, bodyless());
    transport.close();
    expect(seen.slice(0, 6)).toEqual(["1/0", "0/0", "1/0", "1/1", "1/0", "1/1"]);
    expect(seen.at(-1)).toBe("0/0");
  });

  test("a unix socket works like any other", async () => {
    const folder = mkdtempSync(join(tmpdir(), "leastwise-test-"));
    try {
      const backend = start({ unix: join(folder, "s"), handler: (request) => request.target });
      const transport = transportTo(backend);
      expect((await fetchText(transport, bodyless("GET", "/over-unix"))).text).toBe("/over-unix");
      expect((await fetchText(transport, bodyless("GET", "/again"))).text).toBe("/again");
      expect(backend.connections).toBe(1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("a connection that the backend closed while idle", () => {
  test.each(["fin", "reset"] as const)("by %s is noticed and not used", async (how) => {
    const backend = start(() => "ok");
    const transport = transportTo(backend);
    await fetchText(transport, bodyless());
    const emptied = Promise.withResolvers<void>();
    const watched = transportTo(backend, {
      onConnectionsChange: (all) => all === 0 && emptied.resolve(),
    });
    await fetchText(watched, bodyless());
    for (const wire of backend.wires) wire[how]();
    await emptied.promise;
    expect(await fetchText(watched, bodyless())).toEqual({ status: 200, text: "ok" });
    expect(backend.connections).toBe(3);
  });

  test("with a response that nobody asked for is thrown away with it [R05]", async () => {
    const backend = start((request) => request.target);
    const emptied = Promise.withResolvers<void>();
    const transport = transportTo(backend, {
      onConnectionsChange: (all) => all === 0 && emptied.resolve(),
    });
    await fetchText(transport, bodyless());
    await backend.wires[0]?.write("HTTP/1.1 408 Request Timeout\r\nContent-Length: 4\r\n\r\nEVIL");
    await emptied.promise;
    expect(await fetchText(transport, bodyless("GET", "/mine"))).toEqual({
      status: 200,
      text: "/mine",
    });
    expect(backend.connections).toBe(2);
  });

  test("at the moment of use is a stale one: the request may go out once more [F03]", async () => {
    const backend = start((request) =>
      request.index === 0 ? "ok" : { raw: [], afterwards: "fin" },
    );
    const transport = transportTo(backend);
    await fetchText(transport, bodyless());
    const error = await errorOf(transport.send(bodyless()).response);
    expect(error).toBeInstanceOf(TransportError);
    expect(error).toMatchObject({
      code: "reset",
      outcome: "reset",
      retry: "idempotent",
      stale: true,
      source: "backend",
    });
    expect(transport.openConnections).toBe(0);
  });

  test("but a fresh one that ends without a word is not stale [F04]", async () => {
    for (const then of ["fin", "reset"] as const) {
      const backend = start(() => ({ raw: [], afterwards: then }));
      const error = await errorOf(transportTo(backend).send(bodyless()).response);
      expect(error).toMatchObject({
        code: "reset",
        outcome: "reset",
        retry: "idempotent",
        stale: false,
      });
    }
  });

  test("is not stale either once it has said something", async () => {
    const backend = start((request) =>
      request.index === 0 ? "ok" : { raw: ["HTTP/1.1 20"], afterwards: "fin" },
    );
    const transport = transportTo(backend);
    await fetchText(transport, bodyless());
    const error = await errorOf(transport.send(bodyless()).response);
    expect(error).toMatchObject({ code: "reset", outcome: "reset", stale: false });
  });
});

describe("a backend that cannot be reached", () => {
  test("refused: nothing was sent, the request may go anywhere, and the message names no address", async () => {
    const backend = start();
    backend.stop();
    const body = new PiecesReader(["never sent"]);
    const error = await errorOf(transportTo(backend).send(withBody(body, 10)).response);
    expect(error).toBeInstanceOf(TransportError);
    expect(error).toMatchObject({
      code: "connect_refused",
      outcome: "connect",
      retry: "always",
      stale: false,
    });
    expect(error.message).not.toContain(String(backend.port));
    expect(String(error.cause)).toContain(`127.0.0.1:${backend.port}`);
    expect(body).toMatchObject({ reads: 0, cancelled: false });
  });

  test("a name that does not exist, a unix socket that does not exist, a port that cannot be", async () => {
    for (const [code, address] of [
      ["dns_failed", { hostname: "does-not-exist.invalid", port: 80 }],
      ["connect_refused", { unix: join(tmpdir(), "leastwise-no-such-socket") }],
      ["connect_refused", { hostname: "127.0.0.1", port: 99_999 }],
    ] as const) {
      const error = await errorOf(transportTo({ address }).send(bodyless()).response);
      expect(error).toMatchObject({ code, outcome: "connect", retry: "always" });
    }
  });

  // Windows has no limit of descriptors to lower.
  test.skipIf(process.platform === "win32")(
    "no descriptors left: it is the proxy's fault and it recovers (N02)",
    async () => {
      const backend = start();
      const child = join(import.meta.dir, "../_support/out-of-descriptors-child.ts");
      const { stdout, stderr } = await run([
        "sh",
        "-c",
        'ulimit -n 80; exec "$@"',
        "sh",
        process.execPath,
        child,
        String(backend.port),
      ]);
      expect(stderr).toBe("");
      expect(JSON.parse(stdout)).toEqual({
        without: { code: "overloaded", source: "proxy", retry: "never" },
        after: { status: 200, text: "ok" },
      });
    },
  );

  test("comes back on the same port and is used again", async () => {
    const backend = start();
    const transport = transportTo(backend);
    await fetchText(transport, bodyless());
    backend.stop();
    await errorOf(transport.send({ ...bodyless(), fresh: true }).response);
    backend.start();
    expect(await fetchText(transport, { ...bodyless(), fresh: true })).toEqual({
      status: 200,
      text: "ok",
    });
  });

  test("a full backlog: the connect times out, and after a few of them the next is not even tried [G02]", async () => {
    const full = await fullBacklog();
    open.push(full);
    const transport = transportTo(full, { connectMs: 50 });
    const expected = { code: "connect_timeout", outcome: "connect", retry: "always" };
    const errors = await Promise.all(
      Array.from({ length: MAX_ABANDONED }, () => errorOf(transport.send(bodyless()).response)),
    );
    for (const error of errors) expect(error).toMatchObject(expected);
    const refused = await errorOf(transport.send(bodyless()).response);
    expect(refused).toMatchObject(expected);
    expect(String(refused.cause)).toContain(`${MAX_ABANDONED} earlier connects`);
    expect(transport.openConnections).toBe(0);
  });

  test("an abort while connecting rejects at once, and the connection that still comes is kept for others", async () => {
    const backend = start();
    const kept = Promise.withResolvers<void>();
    const transport = transportTo(backend, {
      onConnectionsChange: (_all, idle) => idle === 1 && kept.resolve(),
    });
    const reason = new ProxyError("client_gone", "gone", { source: "client" });
    const body = new PiecesReader(["x"]);
    const exchange = transport.send(withBody(body, 1));
    exchange.abort(reason);
    expect(await errorOf(exchange.response)).toBe(reason);
    expect(body).toMatchObject({ reads: 0, cancelled: true });
    await kept.promise;
    await fetchText(transport, bodyless());
    expect(backend.connections).toBe(1);
    expect(backend.requests).toHaveLength(1);
  });
});

async function run(command: string[]): Promise<{ stdout: string; stderr: string }> {
  const child = Bun.spawn(command, { stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  await child.exited;
  return { stdout, stderr };
}
