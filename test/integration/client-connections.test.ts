/**
 * Connections of clients: many, silent, dripping, idle, half-closed, and with the next request too early. What the
 * runtime does on its own there is measured, too: the limits that the README states.
 */
import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { Agent, get as httpGet } from "node:http";
import { useHarness } from "../_support/harness.ts";
import { isQuiet, type Proxy } from "../_support/proxy.ts";
import { connectRaw, type RawConnection } from "../_support/raw-client.ts";

const { backend, proxy } = useHarness();

const GET = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

function connectMany(front: Proxy, count: number): Promise<RawConnection[]> {
  return Promise.all(Array.from({ length: count }, () => connectRaw(front.port)));
}

function serveEcho(): Promise<Proxy> {
  const echo = backend((request) => request.target);
  return proxy({
    config: { pools: { web: { backends: [echo.url], health: false } }, workers: 1 },
  });
}

describe("connections that never get as far as a request", () => {
  test("silent ones and heads of a byte at a time are closed after 12 s, while other clients are served [F08, F11]", async () => {
    const front = await serveEcho();
    const slow = await connectMany(front, 324);
    const [heads, lines, silent] = [slow.slice(0, 24), slow.slice(24, 34), slow.slice(34)];
    for (const client of heads) client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Drip: ");
    const drip = setInterval(() => {
      for (const client of heads) client.send("x");
      for (const client of lines) client.send("\r\n");
    }, 250);
    const still = { open: slow.length };
    for (const client of slow) void client.closed.then(() => still.open--);
    let served = 0;
    try {
      for (; still.open > 0; served++) {
        const client = await connectRaw(front.port);
        client.send(GET);
        await client.until((text) => text.endsWith("/next"));
        client.end();
      }
    } finally {
      clearInterval(drip);
    }
    expect(served).toBeGreaterThan(100);
    expect(new Set(slow.map((client) => client.received()))).toEqual(new Set([""]));
    // A byte that crosses the close makes the kernel reset: of those that drip nobody can say which it is.
    expect(new Set(await Promise.all(silent.map((client) => client.closed)))).toEqual(
      new Set(["fin"]),
    );
    expect(await front.until("none in flight", isQuiet)).toMatchObject([
      { backends: [{ requests: served }] },
    ]);
  }, 60_000);
});

describe("a connection that lies idle behind its answer", () => {
  test("is closed by a FIN, with every answer whole, also where the next request crosses it [F12]", async () => {
    const front = await serveEcho();
    const idle = await connectMany(front, 40);
    const busy = await connectMany(front, 8);
    for (const client of [...idle, ...busy]) client.send(GET);
    await Promise.all(
      [...idle, ...busy].map((client) => client.until((text) => text.endsWith("/next"))),
    );
    // These send their next request as soon as they have an answer: some of them into the close.
    const racing = busy.map(async (client) => {
      for (let sent = 2; ; sent++) {
        client.send(GET);
        try {
          await client.until((text) => text.split("/next").length > sent);
        } catch {
          return;
        }
      }
    });
    front.signal("SIGTERM");
    expect(new Set(await Promise.all(idle.map((client) => client.closed)))).toEqual(
      new Set(["fin"]),
    );
    for (const client of idle) expect(client.received()).toMatch(/^HTTP\/1\.1 200 [^]*\/next$/);
    await Promise.all(racing);
    for (const client of busy) {
      const answers = client
        .received()
        .split(/HTTP\/1\.1 200 .*\r\n/)
        .slice(1);
      expect(answers.filter((answer) => !answer.endsWith("\r\n\r\n/next"))).toEqual([]);
    }
    expect(await front.exited).toBe(0);
  });
});

describe("a client that shuts its sending side down", () => {
  test("counts as gone: it gets a FIN and no answer, and the backend's part is cancelled [not F13]", async () => {
    const silent = backend(() => null);
    const front = await proxy({
      config: { pools: { web: { backends: [silent.url], health: false } }, workers: 1 },
    });
    const client = await connectRaw(front.port);
    client.send(GET);
    await silent.seen(1);
    client.halfClose();
    expect(await client.closed).toBe("fin");
    expect(client.received()).toBe("");
    const [pool] = await front.until("none in flight", isQuiet);
    expect(pool?.backends[0]?.failures).toBe(0);
    await silent.until(() => silent.openConnections === 0);
  });

  test("in the middle of an answer sees it broken off, never as if it were whole [not F13]", async () => {
    const endless = backend((_request, wire) => {
      wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    });
    const front = await proxy({
      config: { pools: { web: { backends: [endless.url], health: false } }, workers: 1 },
    });
    const client = await connectRaw(front.port);
    client.send(GET);
    await client.until((text) => text.includes("abc"));
    client.halfClose();
    await client.closed;
    expect(client.received()).toEndWith("3\r\nabc\r\n");
    await front.until("none in flight", isQuiet);
    await endless.until(() => endless.openConnections === 0);
  });
});

describe("the next request of a connection while an answer is being streamed", () => {
  /** A proxy to a backend whose answer has begun, and the client that reads it. */
  async function streaming() {
    const source = backend((request, wire) => {
      if (request.target !== "/stream") return request.target;
      wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
      return undefined;
    });
    const front = await proxy({
      config: { pools: { web: { backends: [source.url], health: false } }, workers: 1 },
    });
    const client = await connectRaw(front.port);
    client.send(GET.replace("/next", "/stream"));
    await client.until((text) => text.includes("abc"));
    return { source, front, client };
  }

  test("waits for its turn: the first answer is whole, and then it is answered [F14]", async () => {
    const { source, front, client } = await streaming();
    client.send(GET);
    expect(await (await fetch(`${front.url}/other`)).text()).toBe("/other");
    expect(source.requests.map(({ target }) => target)).toEqual(["/stream", "/other"]);
    for (const wire of source.wires) await wire.write("3\r\ndef\r\n0\r\n\r\n");
    const received = await client.until((text) => text.endsWith("/next"));
    expect(received).toContain("3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\nHTTP/1.1 200 ");
    client.end();
  });

  test("goes nowhere when its client leaves, and the first one ends with it [F14]", async () => {
    const { source, front, client } = await streaming();
    client.send(GET);
    expect(await (await fetch(`${front.url}/other`)).text()).toBe("/other");
    client.reset();
    await front.until("none in flight", isQuiet);
    expect(source.requests.map(({ target }) => target)).toEqual(["/stream", "/other"]);
  });

  test("does no harm while its head is not whole: it is answered after the first one", async () => {
    const { source, client } = await streaming();
    client.send(GET.slice(0, 20));
    for (const wire of source.wires) await wire.write("3\r\ndef\r\n0\r\n\r\n");
    await client.until((text) => text.includes("def\r\n0\r\n\r\n"));
    client.send(GET.slice(20));
    const received = await client.until((text) => text.endsWith("/next"));
    expect(received.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 200"]);
    client.end();
  });
});

describe("20,000 small requests back to back over kept connections", () => {
  const EACH = 10_000;

  /** Sends them from 8 clients at a time; what went wrong, and how often. */
  async function run(send: (target: string) => Promise<string>): Promise<Record<string, number>> {
    const wrong: Record<string, number> = {};
    let next = 0;
    const client = async (): Promise<void> => {
      while (next < EACH) {
        const target = `/${next++}`;
        const text = await send(target).catch(String);
        if (text !== target) wrong[text] = (wrong[text] ?? 0) + 1;
      }
    };
    await Promise.all(Array.from({ length: 8 }, client));
    return wrong;
  }

  test("of node:http's agent and of fetch: none is reset [F15]", async () => {
    const front = await serveEcho();
    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    const byAgent = (target: string) =>
      new Promise<string>((resolve, reject) => {
        httpGet(`${front.url}${target}`, { agent }, (response) => {
          let text = "";
          response.setEncoding("utf8");
          response.on("data", (piece: string) => (text += piece));
          response.on("end", () => resolve(text));
          response.on("error", reject);
        }).on("error", reject);
      });
    const byFetch = async (target: string) => (await fetch(`${front.url}${target}`)).text();
    try {
      expect(await run(byAgent)).toEqual({});
      expect(await run(byFetch)).toEqual({});
    } finally {
      agent.destroy();
    }
  }, 120_000);
});

describe("2,000 idle connections", () => {
  const IDLE = 2000;
  const ACTIVE = 50;

  test("keep nobody from being answered, and cost a descriptor each for as long as they last [F16]", async () => {
    const front = await serveEcho();
    const [worker] = await front.workers();
    const descriptors = () => openDescriptors(worker?.pid);
    const before = descriptors();
    const idle = await connectMany(front, IDLE);
    // Each has had an answer, or the kernel could still keep it from the worker.
    for (const client of idle) client.send(GET);
    await Promise.all(idle.map((client) => client.until((text) => text.endsWith("/next"))));
    const active = await connectMany(front, ACTIVE);
    for (let turn = 1; turn <= 20; turn++) {
      for (const client of active) client.send(GET);
      await Promise.all(
        active.map((client) => client.until((text) => text.split("/next").length > turn)),
      );
    }
    if (before !== null) expect(descriptors()).toBeGreaterThanOrEqual(before + IDLE + ACTIVE);
    for (const client of [...idle, ...active]) client.end();
    // What remains are connections to the backend, for the next requests.
    const deadline = Date.now() + 10_000;
    const backendConnections = async () => (await front.pools())[0]?.backends[0]?.connections.open;
    for (;;) {
      const now = descriptors();
      if (now === null || before === null) break;
      const open = (await backendConnections()) ?? 0;
      if (now <= before + open) break;
      if (Date.now() > deadline)
        throw new Error(`${now} descriptors, ${before} before, ${open} to backends`);
      await Bun.sleep(20);
    }
    // The default of connections.maxIdle.
    expect(await backendConnections()).toBeLessThanOrEqual(256);
  });
});

/** Null where the system does not tell. */
function openDescriptors(pid: number | undefined): number | null {
  return process.platform === "linux" ? readdirSync(`/proc/${pid}/fd`).length : null;
}
