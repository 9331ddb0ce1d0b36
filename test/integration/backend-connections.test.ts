/** Connections to backends through the compiled binary: kept, given back, and shared by nobody at the same time. */
import { describe, expect, test } from "bun:test";
import type { UserConfig } from "../../src/index.ts";
import { startBackendProcess } from "../_support/backend-process.ts";
import type { FakeBackend, FakeHandler } from "../_support/fake-backend.ts";
import { useHarness } from "../_support/harness.ts";
import { isQuiet, type Proxy } from "../_support/proxy.ts";
import { connectRaw, type RawConnection } from "../_support/raw-client.ts";

const { backend, proxy } = useHarness();

type PoolConfig = Partial<NonNullable<UserConfig["pools"]>[string]>;

/** One worker, so that all requests have one set of connections. */
function serve({ url }: { readonly url: string }, pool: PoolConfig = {}): Promise<Proxy> {
  const web = { backends: [url], health: false, ejection: false, ...pool } as const;
  return proxy({ config: { workers: 1, pools: { web } } });
}

async function request(front: Proxy, target: string, init?: RequestInit) {
  const response = await fetch(`${front.url}${target}`, init);
  return { status: response.status, text: await response.text() };
}

async function connectionsOf(front: Proxy): Promise<{ open: number; idle: number } | undefined> {
  return (await front.pools())[0]?.backends[0]?.connections;
}

test("a thousand requests one after the other take one connection on either side [F01]", async () => {
  const echo = backend((received) => received.target);
  const front = await serve(echo);
  const client = await connectRaw(front.port);
  for (let turn = 1; turn <= 1000; turn++) {
    client.send(`GET /${turn} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await client.until((text) => text.endsWith(`\r\n\r\n/${turn}`));
  }
  client.end();
  expect(client.received().match(/HTTP\/1\.1 200 /g)).toHaveLength(1000);
  expect(echo.connections).toBe(1);
  expect(await connectionsOf(front)).toEqual({ open: 1, idle: 1 });
});

describe("a backend that takes a request over a fresh connection and ends it without an answer", () => {
  test.each(["fin", "reset"] as const)(
    "by %s: a GET is tried once more and then gets 502, a POST gets 502 and is seen once [F04]",
    async (afterwards) => {
      // The connection is closed each time, so that none is ever reused.
      const broken: FakeHandler = () => ({ raw: [], afterwards });
      const [one, other] = [backend(broken), backend(broken)];
      const front = await serve(one, { backends: [one.url, other.url] });
      expect(await request(front, "/get")).toMatchObject({ status: 502 });
      expect([one.requests.length, other.requests.length]).toEqual([1, 1]);
      for (const method of ["POST", "PATCH"]) {
        const target = `/${method}`;
        const { status, text } = await request(front, target, { method, body: "pay" });
        expect({ status, code: JSON.parse(text).error.code }).toEqual({
          status: 502,
          code: "reset",
        });
        const seen = [...one.requests, ...other.requests].filter((each) => each.target === target);
        expect(seen.map((each) => each.text)).toEqual(["pay"]);
      }
      await front.until("none in flight", isQuiet);
    },
  );
});

// Windows has no such signal.
test.skipIf(process.platform === "win32")(
  "a backend that hangs as a whole costs 504 after timeouts.firstByte, on a kept connection too, and recovers [F05]",
  async () => {
    const hanging = await startBackendProcess();
    try {
      const front = await serve(hanging, { timeouts: { firstByte: "1s" }, retry: false });
      expect(await request(front, "/")).toEqual({ status: 200, text: "ok" });
      expect(await connectionsOf(front)).toEqual({ open: 1, idle: 1 });
      hanging.signal("SIGSTOP");
      // The first over the connection that is there, the second over one that only the kernel accepts.
      for (const method of ["GET", "POST"]) {
        const { status, text } = await request(front, "/", { method });
        expect({ status, code: JSON.parse(text).error.code }).toEqual({
          status: 504,
          code: "first_byte_timeout",
        });
      }
      expect(await connectionsOf(front)).toEqual({ open: 0, idle: 0 });
      hanging.signal("SIGCONT");
      expect(await request(front, "/")).toEqual({ status: 200, text: "ok" });
    } finally {
      await hanging.stop();
    }
  },
);

describe("what the backend says about its connection", () => {
  const withLength =
    (head: string): FakeHandler =>
    () => ({
      raw: [`${head}\r\nContent-Length: 2\r\n\r\nok`],
    });

  test.each([
    ["Connection: close", withLength("HTTP/1.1 200 OK\r\nConnection: close"), 200],
    ["Connection: close on a 404", withLength("HTTP/1.1 404 No\r\nConnection: close"), 404],
    ["Connection: close on a 503", withLength("HTTP/1.1 503 No\r\nConnection: x, Close"), 503],
    ["HTTP/1.0", withLength("HTTP/1.0 200 OK"), 200],
  ])("%s: the connection is used once and ended by us [F06]", async (_what, handler, status) => {
    const closing = backend(handler);
    const front = await serve(closing);
    for (let i = 0; i < 3; i++) {
      expect(await request(front, "/")).toEqual({ status, text: "ok" });
    }
    expect(closing.connections).toBe(3);
    await closing.until(() => closing.openConnections === 0);
    expect(await connectionsOf(front)).toEqual({ open: 0, idle: 0 });
  });

  test("Keep-Alive: timeout=1 ends the connection before that second is over; without it, it is kept [F06]", async () => {
    const hinting = backend(() => ({ body: "ok", headers: [["Keep-Alive", "timeout=1, max=9"]] }));
    const plain = backend();
    const front = await proxy({
      config: {
        workers: 1,
        pools: {
          hinting: { backends: [hinting.url], health: false },
          plain: { backends: [plain.url], health: false },
        },
        routes: [{ path: "/hinting", pool: "hinting" }, { pool: "plain" }],
      },
    });
    for (const target of ["/hinting", "/plain"]) await request(front, target);
    const [wire] = hinting.wires;
    // By us: a backend that ends it itself would leave "us" here.
    expect(await wire?.closed).toBe("fin");
    expect(plain.openConnections).toBe(1);
    expect(await request(front, "/hinting")).toMatchObject({ status: 200 });
    expect(hinting.connections).toBe(2);
  });
});

describe("a connection in the middle of a body", () => {
  test("of an answer belongs to that answer: another client's request gets another one [F07]", async () => {
    const half = backend((received, wire) => {
      if (received.target !== "/half") return `${received.target} on ${received.connection}`;
      wire.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc");
      return undefined;
    });
    const front = await serve(half);
    const first = await connectRaw(front.port);
    first.send("GET /half HTTP/1.1\r\nHost: a\r\n\r\n");
    await first.until((text) => text.includes("abc"));
    expect((await request(front, "/other")).text).toBe("/other on 1");
    await half.wires[0]?.write("def");
    await first.until((text) => text.includes("def"));
    expect(half.requests.map(({ target }) => target)).toEqual(["/half", "/other"]);
  });

  test("of an upload, too [F07]", async () => {
    const echo = backend((received) => `${received.text} on ${received.connection}`);
    const front = await serve(echo);
    const first = await connectRaw(front.port);
    first.send("POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
    await echo.until(() => echo.requests[0]?.text === "abc");
    expect((await request(front, "/", { method: "POST", body: "xyz" })).text).toBe("xyz on 1");
    first.send("def");
    await first.until((text) => text.endsWith("abcdef on 0"));
    expect(echo.refused).toEqual([]);
  });

  test("whose client went away is never used again [F07]", async () => {
    const half = backend((received, wire) => {
      if (received.target === "/whole") return `whole on ${received.connection}`;
      wire.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc");
      return undefined;
    });
    const front = await serve(half);
    const leaving = await connectRaw(front.port);
    leaving.send("GET /half HTTP/1.1\r\nHost: a\r\n\r\n");
    await leaving.until((text) => text.includes("abc"));
    const uploading = await connectRaw(front.port);
    uploading.send("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
    await half.seen(2);
    for (const client of [leaving, uploading]) client.reset();
    await half.until(() => half.openConnections === 0);
    expect((await request(front, "/whole")).text).toBe("whole on 2");
  });

  test("is nobody else's under load: every client gets its own answers, in its own order [F07]", async () => {
    // Every third answer comes late and in pieces, so that others overtake it.
    const echo = backend(({ index, target, text }) => {
      const body = `${target}:${text};`;
      return index % 3 === 0 ? { body, delayMs: 1, pieceBytes: 40, gapMs: 1 } : body;
    });
    const front = await serve(echo);
    const clients = await Promise.all(
      Array.from({ length: 10 }, (_, id) => askInTurn(front, id, 60)),
    );
    for (const { answers, expected } of clients) expect(answers).toEqual(expected);
    expect(echo.refused).toEqual([]);
    // Else nothing was reused.
    expect(echo.connections).toBeLessThanOrEqual(10);
  });
});

/** GETs and POSTs over one connection, each with a text of its own; the bodies that came back. */
async function askInTurn(front: Proxy, id: number, count: number) {
  const client: RawConnection = await connectRaw(front.port);
  const expected: string[] = [];
  for (let turn = 0; turn < count; turn++) {
    const target = `/${id}/${turn}`;
    const body = turn % 2 === 0 ? "" : `body ${id} ${turn}`;
    const head = `${body === "" ? "GET" : "POST"} ${target} HTTP/1.1\r\nHost: a\r\n`;
    client.send(`${head}${body === "" ? "" : `Content-Length: ${body.length}\r\n`}\r\n${body}`);
    expected.push(`${target}:${body};`);
    await client.until((text) => text.split(";").length > expected.length);
  }
  client.end();
  const answers = [...(client.received().match(/\/\d+\/\d+:[^;]*;/g) ?? [])];
  return { answers, expected };
}

test("300 slow requests and 256 idle connections to one backend hold up nobody at another one [F17]", async () => {
  const release = Promise.withResolvers<void>();
  const slow = backend(async (received) => {
    if (received.target === "/slow/wait") await release.promise;
    return received.target;
  });
  const quick = backend((received) => received.target);
  const front = await proxy({
    config: {
      workers: 1,
      pools: {
        slow: { backends: [slow.url], health: false },
        quick: { backends: [quick.url], health: false },
      },
      routes: [{ path: "/slow/*", pool: "slow" }, { pool: "quick" }],
    },
  });
  const waiting = await sendAll(front, 300, "/slow/wait");
  await slow.until(() => slow.concurrent === 300);
  for (let i = 0; i < 100; i++) {
    expect(await request(front, `/${i}`)).toEqual({ status: 200, text: `/${i}` });
  }
  expect(slow.concurrent).toBe(300);
  release.resolve();
  await Promise.all(waiting.map((client) => client.until((text) => text.endsWith("/slow/wait"))));
  await front.until("256 idle ones", ([pool]) => pool?.backends[0]?.connections.idle === 256);
  await slow.until(() => slow.openConnections === 256);
  for (let i = 0; i < 100; i++) {
    expect(await request(front, `/${i}`)).toEqual({ status: 200, text: `/${i}` });
  }
  await usesKeptOnes(front, slow);
});

async function sendAll(front: Proxy, count: number, target: string): Promise<RawConnection[]> {
  const clients = await Promise.all(Array.from({ length: count }, () => connectRaw(front.port)));
  for (const client of clients) client.send(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
  return clients;
}

/** All 256 that lie idle serve again, at once, without a new connection. */
async function usesKeptOnes(front: Proxy, slow: FakeBackend): Promise<void> {
  const { connections } = slow;
  const release = Promise.withResolvers<void>();
  slow.handler = async (received) => {
    await release.promise;
    return received.target;
  };
  const again = await sendAll(front, 256, "/slow/again");
  await slow.until(() => slow.concurrent === 256);
  release.resolve();
  await Promise.all(again.map((client) => client.until((text) => text.endsWith("/slow/again"))));
  expect(slow.connections).toBe(connections);
}
