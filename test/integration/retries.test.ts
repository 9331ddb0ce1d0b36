/** What is sent again after a failure, to whom and how often, and what the client gets of it. */
import { describe, expect, test } from "bun:test";
import { useHarness } from "../_support/harness.ts";
import { type Endings, sendMany } from "../_support/load.ts";
import { inOrder } from "../_support/ordered-pool.ts";
import { isQuiet } from "../_support/proxy.ts";
import { connectRaw } from "../_support/raw-client.ts";

const { backend, deadBackend, proxy } = useHarness();

/** The most that a request's body may have for it to be sent again. */
const REPLAYED = 64 * 1024;

/** Bytes that show it when one is lost, doubled or moved. */
function bodyOf(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 0xff));
}

/** Its length is not known before, so it is sent chunked. */
function asStream(bytes: Buffer): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async start(controller) {
      for (let at = 0; at < bytes.length; at += 10_000) {
        controller.enqueue(bytes.subarray(at, at + 10_000));
        await Promise.resolve();
      }
      controller.close();
    },
  });
}

function sum(counted: readonly { readonly requests: readonly unknown[] }[]): number {
  return counted.reduce((total, each) => total + each.requests.length, 0);
}

describe("a connection that ends after the request and before an answer [G04]", () => {
  const SEEN = { GET: 2, HEAD: 2, OPTIONS: 2, PUT: 2, DELETE: 2, POST: 1, PATCH: 1 };

  test.each(["reset", "fin"] as const)(
    "by %s: what is idempotent is seen by two backends, a POST or PATCH by one, then 502",
    async (afterwards) => {
      const all = [1, 2, 3].map(() => backend(() => ({ raw: [], afterwards })));
      const front = await proxy(inOrder(all.map(({ url }) => url)));
      for (const [method, times] of Object.entries(SEEN)) {
        const body = ["PUT", "POST", "PATCH"].includes(method) ? { body: "x" } : {};
        const response = await fetch(front.url, { method, ...body });
        expect(response.status).toBe(502);
        expect(response.headers.get("proxy-status")).toBe("leastwise; error=connection_terminated");
        const seen = all.map(({ requests }) => requests.splice(0).map((each) => each.method));
        expect(seen).toEqual([[method], times === 2 ? [method] : [], []]);
      }
      await front.until("no request in flight", isQuiet);
    },
  );

  test("by one of two: what is idempotent gets its answer from the other", async () => {
    const bad = backend(() => ({ raw: [], afterwards: "reset" }));
    const good = backend();
    const front = await proxy(inOrder([bad.url, good.url]));
    for (const [method, times] of Object.entries(SEEN)) {
      const response = await fetch(front.url, { method });
      expect([method, response.status]).toEqual([method, times === 2 ? 200 : 502]);
    }
    expect(bad.requests).toHaveLength(7);
    expect(good.requests).toHaveLength(5);
  });
});

describe("the body of a request that is sent again [G09]", () => {
  test("all of it sent before the failure: only what fits into 64 KiB is, byte by byte", async () => {
    const bad = backend(() => ({ raw: [], afterwards: "reset" }));
    const good = backend();
    const front = await proxy(inOrder([bad.url, good.url]));
    for (const length of [10, REPLAYED - 1, REPLAYED, REPLAYED + 1, 1 << 20]) {
      for (const chunked of [false, true]) {
        const body = bodyOf(length);
        const sent = chunked ? asStream(body) : body;
        const response = await fetch(front.url, { method: "PUT", body: sent });
        expect([length, response.status]).toEqual([length, length <= REPLAYED ? 200 : 502]);
        const [first] = bad.requests.splice(0);
        const [again] = good.requests.splice(0);
        expect(first?.body.equals(body)).toBe(true);
        expect(again?.body.equals(body)).toBe(length <= REPLAYED ? true : undefined);
        expect(first?.header("transfer-encoding")).toBe(chunked ? "chunked" : null);
      }
    }
    expect([...bad.refused, ...good.refused]).toEqual([]);
  });

  test.each(["Content-Length: 8", "Transfer-Encoding: chunked"])(
    "half of it sent before the failure and half after (%s): the second backend gets all of it",
    async (framing) => {
      const bad = backend({
        answerAt: "head",
        handler: async (request) => {
          await bad.until(() => request.bodyLength === 4);
          return { raw: [], afterwards: "reset" };
        },
      });
      const good = backend();
      const front = await proxy(inOrder([bad.url, good.url]));
      const client = await connectRaw(front.port);
      const chunked = framing.includes("chunked");
      client.send(`PUT / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`);
      client.send(chunked ? "4\r\n1234\r\n" : "1234");
      await good.until(() => good.requests[0]?.bodyLength === 4);
      expect(good.requests[0]?.complete).toBe(false);
      client.send(chunked ? "4\r\n5678\r\n0\r\n\r\n" : "5678");
      await client.until((text) => text.includes("\r\n\r\nok"));
      expect(good.requests[0]?.text).toBe("12345678");
      client.end();
    },
  );

  test("of which more than is kept was sent: the backend that fails half-way was the only one", async () => {
    const bad = backend({
      answerAt: "head",
      handler: async (request) => {
        await bad.until(() => request.bodyLength > REPLAYED);
        return { raw: [], afterwards: "reset" };
      },
    });
    const good = backend();
    const front = await proxy(inOrder([bad.url, good.url]));
    const client = await connectRaw(front.port);
    client.send(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${4 * REPLAYED}\r\n\r\n`);
    client.send(bodyOf(2 * REPLAYED));
    await client.until((text) => text.startsWith("HTTP/1.1 502 "));
    expect(good.requests).toEqual([]);
    client.end();
  });

  test("however long and whatever the method, when the first backend could not be reached", async () => {
    const body = bodyOf(1 << 20);
    const good = backend();
    const front = await proxy(inOrder([deadBackend().url, good.url]));
    for (const method of ["POST", "PUT"]) {
      expect((await fetch(front.url, { method, body })).status).toBe(200);
      expect(good.requests.at(-1)?.body.equals(body)).toBe(true);
    }
    expect(good.refused).toEqual([]);
  });
});

describe("a status that is an answer like any other", () => {
  const STATUSES = [500, 502, 503, 504, 404, 429];

  test("is passed on as it is by default, seen by one backend [G10]", async () => {
    const script = () => ({
      status: 200,
      headers: [["X-From", "first"]] as const,
      body: "its own",
    });
    const first = backend(script);
    const second = backend();
    const front = await proxy(inOrder([first.url, second.url]));
    for (const status of STATUSES) {
      first.handler = () => ({ ...script(), status });
      const response = await fetch(front.url);
      expect([response.status, await response.text()]).toEqual([status, "its own"]);
      expect(response.headers.get("x-from")).toBe("first");
      expect(response.headers.get("proxy-status")).toBeNull();
    }
    expect(first.requests).toHaveLength(STATUSES.length);
    expect(second.requests).toEqual([]);
  });

  test("is retried elsewhere only where retry.on names it, and only if the method allows [G10]", async () => {
    for (const named of [502, 503, 504]) {
      const first = backend();
      const second = backend(() => "second");
      const front = await proxy(
        inOrder([first.url, second.url], {
          retry: { on: ["connect", "reset", "timeout", `${named}` as "502"] },
        }),
      );
      for (const status of STATUSES) {
        first.handler = () => ({ status, body: "first" });
        const response = await fetch(front.url);
        const expected = status === named ? [200, "second"] : [status, "first"];
        expect([response.status, await response.text()]).toEqual(expected as [number, string]);
      }
      expect(second.requests).toHaveLength(1);
      first.handler = () => ({ status: named, body: "first" });
      const post = await fetch(front.url, { method: "POST", body: "x" });
      expect([post.status, await post.text()]).toEqual([named, "first"]);
      expect(second.requests).toHaveLength(1);
    }
  });

  test("is the client's when the tries are exhausted: the last one, whole [G10]", async () => {
    const all = [503, 502, 504, 503].map((status, place) =>
      backend(() => ({ status, headers: [["X-Place", String(place)]], body: `answer ${place}` })),
    );
    const front = await proxy(
      inOrder(
        all.map(({ url }) => url),
        { retry: { attempts: 3, on: ["502", "503", "504"] } },
      ),
    );
    const response = await fetch(front.url);
    expect([response.status, await response.text()]).toEqual([504, "answer 2"]);
    expect(response.headers.get("x-place")).toBe("2");
    expect(all.map(({ requests }) => requests.length)).toEqual([1, 1, 1, 0]);
    await front.until("no request in flight", isQuiet);
  });

  test("is the client's when nobody else can be reached, or everybody else breaks off [G10]", async () => {
    const first = backend(() => ({ status: 503, body: "first" }));
    const second = backend(() => ({ raw: [], afterwards: "reset" }));
    const retry = { attempts: 3, on: ["connect", "reset", "503"] } as const;
    for (const other of [deadBackend(), second]) {
      const front = await proxy(inOrder([first.url, other.url], { retry }));
      const response = await fetch(front.url);
      expect([response.status, await response.text()]).toEqual([503, "first"]);
      await front.until("no request in flight", isQuiet);
    }
    expect(second.requests).toHaveLength(1);
  });
});

describe("the headers of a try that failed do not reach the client [G11]", () => {
  const LEAK = [
    ["Set-Cookie", "leak=1"],
    ["X-Leak", "leak"],
    ["Content-Type", "application/x-leak"],
    ["Content-Encoding", "gzip"],
    ["ETag", '"leak"'],
    ["Cache-Control", "max-age=1"],
  ] as const;
  const lines = LEAK.map(([name, value]) => `${name}: ${value}\r\n`).join("");

  test.each([
    ["a status to be retried", { status: 503, headers: LEAK, body: "leak" }],
    [
      "a status to be retried, chunked",
      { status: 503, headers: LEAK, body: "leak", chunked: true },
    ],
    ["a head that breaks off", { raw: [`HTTP/1.1 200 OK\r\n${lines}`], afterwards: "reset" }],
    ["a 103, and then nothing", { raw: [`HTTP/1.1 103 Early\r\n${lines}\r\n`], afterwards: "fin" }],
  ] as const)("%s", async (_, reply) => {
    const bad = backend(() => reply);
    const good = backend(() => ({ headers: [["X-Good", "1"]], body: "good" }));
    const retry = { on: ["reset", "503"] } as const;
    const front = await proxy(inOrder([bad.url, good.url], { retry }));
    const client = await connectRaw(front.port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    await client.closed;
    const answer = client.received();
    expect(answer).toStartWith("HTTP/1.1 200 ");
    expect(answer).toContain("X-Good: 1\r\n");
    expect(answer).toEndWith("\r\n\r\ngood");
    expect(answer.toLowerCase()).not.toMatch(/leak|gzip|max-age/);
    expect(bad.requests).toHaveLength(1);
  });
});

describe("however many requests fail, backends see at most 1.2 times as many, and the floor of 3 a second [G08]", () => {
  const REQUESTS = 1200;

  /** Sends the requests to four backends, of which the first `failing` fail. */
  async function storm(
    failing: number,
    reply: { status?: number; raw?: readonly string[]; afterwards?: "reset" },
    workers: number,
  ): Promise<{ endings: Endings; seen: number; allowed: number }> {
    const all = [0, 1, 2, 3].map((place) => backend(() => (place < failing ? reply : "ok")));
    const front = await proxy({
      config: {
        pools: {
          web: {
            backends: all.map(({ url }) => url),
            strategy: "random",
            health: false,
            ejection: false,
            retry: { attempts: 10, on: ["connect", "reset", "503"] },
          },
        },
        workers,
      },
    });
    const startedAt = performance.now();
    const endings = await sendMany(front.url, REQUESTS, 16);
    const seconds = (performance.now() - startedAt) / 1000;
    // A worker to which the kernel gives few of the connections lives on the floor, that of 10 seconds at the least.
    const floor = 3 * Math.max(10, seconds) * (workers - 1);
    return { endings, seen: sum(all), allowed: 1.2 * REQUESTS + floor };
  }

  test.each([
    ["reset every connection", { raw: [], afterwards: "reset" as const }, "502", 1],
    ["reset every connection", { raw: [], afterwards: "reset" as const }, "502", 2],
    ["answer 503", { status: 503 }, "503", 1],
  ])("all of them %s", async (_, reply, ending, workers) => {
    const { endings, seen, allowed } = await storm(4, reply, workers);
    expect([...endings]).toEqual([[ending, REQUESTS]]);
    expect(seen).toBeLessThanOrEqual(allowed);
    expect(seen).toBeGreaterThan(1.1 * REQUESTS);
  });

  test.each([
    ["reset every connection", { raw: [], afterwards: "reset" as const }, "502"],
    ["answer 503", { status: 503 }, "503"],
  ])("half of them %s", async (_, reply, ending) => {
    const { endings, seen, allowed } = await storm(2, reply, 1);
    expect([...endings.keys()].toSorted()).toEqual(["200", ending]);
    expect((endings.get("200") ?? 0) + (endings.get(ending) ?? 0)).toBe(REQUESTS);
    expect(seen).toBeLessThanOrEqual(allowed);
    // What the budget allows is made use of: a retry finds a good backend every other time.
    expect(endings.get(ending)).toBeLessThan(REQUESTS / 2);
    expect(seen).toBeGreaterThan(1.1 * REQUESTS);
  });
});
