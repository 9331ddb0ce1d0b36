/**
 * A backend that closes a connection at the very moment at which the next request goes out over it: requests that
 * may be repeated are, the others are never sent twice.
 */
import { describe, expect, test } from "bun:test";
import type { FakeBackend, FakeHandler, FakeWire } from "../_support/fake-backend.ts";
import { useHarness } from "../_support/harness.ts";
import type { Proxy } from "../_support/proxy.ts";
import { connectRaw } from "../_support/raw-client.ts";

const harness = useHarness();

/** FIN right behind a whole answer that promised to keep the connection. */
const finAfterAnswer: FakeHandler = (request) => ({ body: request.target, afterwards: "fin" });

/** FIN a moment later, when the next request may be on its way. */
function finSoon(): FakeHandler {
  let turn = 0;
  return (request, wire) => {
    setTimeout(() => wire.fin(), turn++ % 3);
    return request.target;
  };
}

/** FIN once a connection has been idle for as long as clients wait between their requests, give or take. */
function finWhenIdle(): FakeHandler {
  const timers = new Map<FakeWire, ReturnType<typeof setTimeout>>();
  return (request, wire) => {
    clearTimeout(timers.get(wire));
    timers.set(
      wire,
      setTimeout(() => wire.fin(), PAUSE_MS),
    );
    return request.target;
  };
}

/** Every second request of a connection finds it closed instead of an answer. */
function closeOnSecond(how: "fin" | "reset"): FakeHandler {
  const used = new Set<number>();
  return (request) => {
    const again = used.has(request.connection);
    used.add(request.connection);
    return again ? { raw: [], afterwards: how } : request.target;
  };
}

const PAUSE_MS = 10;
/** A few seconds, where there are two processors. */
const TIMEOUT_MS = 120_000;

interface Pace {
  readonly requests: number;
  readonly clients: number;
  /** Between an answer and the client's next request. */
  pauseMs(): number;
}

const atOnce: Pace = { requests: 2000, clients: 8, pauseMs: () => 0 };
const idling: Pace = {
  requests: 10_000,
  clients: 64,
  pauseMs: () => PAUSE_MS - 2 + Math.floor(Math.random() * 5),
};

interface Answers {
  readonly right: number;
  /** By what came instead. */
  readonly others: Record<string, number>;
}

/** Sends that many requests from clients that keep their connections. */
async function sendAll(proxy: Proxy, method: "GET" | "POST", pace: Pace): Promise<Answers> {
  let right = 0;
  const others: Record<string, number> = {};
  let next = 0;
  const client = async (): Promise<void> => {
    const connection = await connectRaw(proxy.port);
    const ask = async (head: string): Promise<string> => {
      const from = connection.received().length;
      connection.send(head);
      return (await connection.until((text) => isWhole(text, from))).slice(from);
    };
    while (next < pace.requests) {
      const target = `/${next++}`;
      const rest = method === "POST" ? "Content-Length: 3\r\n\r\npay" : "\r\n";
      const answer = await ask(`${method} ${target} HTTP/1.1\r\nHost: a\r\n${rest}`);
      if (answer.startsWith("HTTP/1.1 200 ") && answer.endsWith(`\r\n\r\n${target}`)) right++;
      else others[answer.slice(9, 12)] = (others[answer.slice(9, 12)] ?? 0) + 1;
      const pauseMs = pace.pauseMs();
      if (pauseMs > 0) await Bun.sleep(pauseMs);
    }
    connection.end();
  };
  await Promise.all(Array.from({ length: pace.clients }, client));
  return { right, others };
}

/** Whether an answer with a Content-Length that begins there is there to its end. */
function isWhole(text: string, from: number): boolean {
  const headEnd = text.indexOf("\r\n\r\n", from);
  if (headEnd < 0) return false;
  const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(from, headEnd))?.[1];
  if (length === undefined) throw new Error(`no Content-Length: ${text.slice(from)}`);
  return text.length >= headEnd + 4 + Number(length);
}

function serve(backends: readonly FakeBackend[]): Promise<Proxy> {
  return harness.proxy({
    config: {
      workers: 1,
      pools: {
        web: { backends: backends.map((each) => each.url), health: false, ejection: false },
      },
    },
  });
}

function mostOftenSeen(backends: readonly FakeBackend[]): number {
  const seen = new Map<string, number>();
  for (const { target } of backends.flatMap((each) => each.requests)) {
    seen.set(target, (seen.get(target) ?? 0) + 1);
  }
  return Math.max(...seen.values());
}

describe.each([
  ["sends a FIN after as long a pause as clients make", finWhenIdle, idling],
  ["sends a FIN right behind each answer", () => finAfterAnswer, atOnce],
  ["sends a FIN a moment after each answer", finSoon, atOnce],
  ["sends a FIN in place of every second answer", () => closeOnSecond("fin"), atOnce],
  ["resets in place of every second answer", () => closeOnSecond("reset"), atOnce],
])("a backend that %s", (_what, handler, pace) => {
  test(
    "fails none of thousands of GETs [F02, F03]",
    async () => {
      const backends = [harness.backend(handler()), harness.backend(handler())];
      const proxy = await serve(backends);
      expect(await sendAll(proxy, "GET", pace)).toEqual({ right: pace.requests, others: {} });
      // Else nothing was tried: connections must have ended.
      expect(backends[0]?.connections).toBeGreaterThan(100);
      expect(backends.flatMap((each) => each.refused)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test(
    "sees none of thousands of POSTs twice [F02, F03]",
    async () => {
      const backends = [harness.backend(handler()), harness.backend(handler())];
      const proxy = await serve(backends);
      const { right, others } = await sendAll(proxy, "POST", pace);
      expect(mostOftenSeen(backends)).toBe(1);
      expect(right).toBeGreaterThan(pace.requests / 3);
      expect(Object.keys(others).filter((status) => status !== "502")).toEqual([]);
      expect(backends[0]?.connections).toBeGreaterThan(100);
    },
    TIMEOUT_MS,
  );
});

describe("a kept connection that ends when the next request is already on it", () => {
  /** Answers the first request of each connection and ends it at the second. */
  async function afterOneAnswer() {
    const backend = harness.backend(closeOnSecond("fin"));
    const pool = { backends: [backend.url], health: false, ejection: false, retry: false } as const;
    const proxy = await harness.proxy({ config: { workers: 1, pools: { web: pool } } });
    await fetch(`${proxy.url}/first`);
    const send = async (method: string) => {
      const body = method.startsWith("P") ? { body: "pay" } : {};
      const { status } = await fetch(`${proxy.url}/again`, { method, ...body });
      const seen = backend.requests.filter(({ target }) => target === "/again");
      return { status, seenOn: seen.map(({ connection }) => connection) };
    };
    return send;
  }

  test.each(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])(
    "costs a %s nothing: it goes out again over a new one [F03]",
    async (method) => {
      const send = await afterOneAnswer();
      expect(await send(method)).toEqual({ status: 200, seenOn: [0, 1] });
    },
  );

  test.each(["POST", "PATCH"])(
    "costs a %s its answer, but it is not sent again [F03]",
    async (method) => {
      const send = await afterOneAnswer();
      expect(await send(method)).toEqual({ status: 502, seenOn: [0] });
    },
  );

  test("costs a POST nothing once the end has been seen before it was sent [F03]", async () => {
    const backend = harness.backend((request) => `on ${request.connection}`);
    const proxy = await serve([backend]);
    await fetch(proxy.url);
    for (const wire of backend.wires) wire.fin();
    await proxy.until("no connection", ([pool]) => pool?.backends[0]?.connections.open === 0);
    const answer = await fetch(proxy.url, { method: "POST", body: "pay" });
    expect([answer.status, await answer.text()]).toEqual([200, "on 1"]);
  });
});
