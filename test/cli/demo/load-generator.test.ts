import { afterEach, describe, expect, test } from "bun:test";
import type { Arrivals } from "../../../src/cli/demo/arrivals.ts";
import { type LoadResult, runLoad } from "../../../src/cli/demo/load-generator.ts";
import { BACKEND_HEADER } from "../../../src/cli/demo/scenario.ts";

const listeners: { stop(force: boolean): unknown }[] = [];
afterEach(() => {
  for (const listener of listeners.splice(0)) listener.stop(true);
});

/** All requests at the same moment, unless told otherwise. */
function arrivalsOf(count: number, gapMs = 0): Arrivals {
  const timesMs = Float64Array.from({ length: count }, (_, index) => index * gapMs);
  return { timesMs, starts: [0, count], durationMs: count * gapMs };
}

function load(
  port: number,
  arrivals: Arrivals,
  signal = new AbortController().signal,
): Promise<LoadResult> {
  return runLoad({ port, arrivals, signal });
}

/** An HTTP server whose every connection does with its n-th request what `answer` says. */
function listen(
  answer: (socket: Bun.Socket<{ requests: number }>, request: number) => void,
): number {
  const listener = Bun.listen<{ requests: number }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { requests: 0 };
      },
      data(socket) {
        answer(socket, ++socket.data.requests);
      },
    },
  });
  listeners.push(listener);
  return listener.port;
}

const OK = `HTTP/1.1 200 OK\r\n${BACKEND_HEADER}: normal-1\r\nContent-Length: 2\r\n\r\nok`;

describe("the load generator", () => {
  test("never waits for an answer before it sends the next request: 400 are under way at once", async () => {
    const waiting: (() => void)[] = [];
    const port = listen((socket) => {
      waiting.push(() => socket.write(OK));
      if (waiting.length === 400) for (const answer of waiting) answer();
    });
    const result = await load(port, arrivalsOf(400));
    expect(new Set(result.outcomes)).toEqual(new Set(["ok"]));
    expect(result.connectionsOpened).toBe(400);
  });

  test("counts latency from when a request was due, however late it was sent", async () => {
    const port = listen((socket) => socket.write(OK));
    const timesMs = Float64Array.of(-5000);
    const result = await load(port, { timesMs, starts: [0, 1], durationMs: 0 });
    expect(result.outcomes).toEqual(["ok"]);
    expect(result.lagMs[0]).toBeGreaterThanOrEqual(5000);
    expect(result.latencyMs[0]).toBeGreaterThanOrEqual(result.lagMs[0] ?? Infinity);
  });

  test("keeps connections: requests one after the other share one", async () => {
    const port = listen((socket) => socket.write(OK));
    const result = await load(port, arrivalsOf(3, 250));
    expect(result.outcomes).toEqual(["ok", "ok", "ok"]);
    expect(result.backends).toEqual(Array.from({ length: 3 }, () => "normal-1"));
    expect(result.connectionsOpened).toBe(1);
  });

  test("tells a backend's refusal from the proxy's own", async () => {
    const refusal = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n";
    const port = listen((socket, request) =>
      socket.write(
        request === 1 ? `${refusal}${BACKEND_HEADER}: degraded-1\r\n\r\n` : `${refusal}\r\n`,
      ),
    );
    const result = await load(port, arrivalsOf(2, 250));
    expect(result.outcomes).toEqual(["backend_502", "proxy_502"]);
    expect(result.backends).toEqual(["degraded-1", null]);
  });

  test("a kept connection that the proxy closed costs a new connection, not the request", async () => {
    const port = listen((socket, request) => {
      if (request === 1) socket.write(OK);
      else socket.terminate();
    });
    const result = await load(port, arrivalsOf(2, 250));
    expect(result.outcomes).toEqual(["ok", "ok"]);
    expect([result.connectionsOpened, result.reconnects]).toEqual([2, 1]);
  });

  test("a new connection that is closed without an answer is a failed request", async () => {
    const port = listen((socket) => socket.terminate());
    const result = await load(port, arrivalsOf(3));
    expect(result.outcomes).toEqual(["reset", "reset", "reset"]);
  });

  test("an answer that breaks off is a failed request and is not sent again", async () => {
    const port = listen((socket, request) => {
      if (request === 1) {
        socket.write(OK);
      } else {
        socket.write(OK.slice(0, -1));
        socket.end();
      }
    });
    const result = await load(port, arrivalsOf(2, 250));
    expect(result.outcomes).toEqual(["ok", "reset"]);
  });

  test("something that is not HTTP is a failed request", async () => {
    const port = listen((socket) => socket.write("hello\r\n\r\n"));
    expect((await load(port, arrivalsOf(1))).outcomes).toEqual(["invalid"]);
  });

  test("a port where nobody listens fails every request, each counted once", async () => {
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    listener.stop(true);
    const result = await load(listener.port, arrivalsOf(20));
    expect(result.outcomes).toEqual(Array.from({ length: 20 }, () => "connect"));
  });

  test("stops at once when it is told to", async () => {
    const stop = new AbortController();
    const port = listen(() => stop.abort(new Error("enough")));
    await expect(load(port, arrivalsOf(10_000, 100), stop.signal)).rejects.toThrow("enough");
  });
});
