/** What the access log says of each request, and what it must never say. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { UserConfig } from "../../src/index.ts";
import { type AccessLine, accessLines, accessLinesOf } from "../_support/access-log.ts";
import { useHarness } from "../_support/harness.ts";
import { inOrder } from "../_support/ordered-pool.ts";
import { OtlpReceiver } from "../_support/otlp-receiver.ts";
import type { Proxy } from "../_support/proxy.ts";
import { connectRaw } from "../_support/raw-client.ts";

const { backend, deadBackend, proxy } = useHarness();

let folder = "";
let file = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "leastwise-test-"));
  file = join(folder, "access.log");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

type AccessLogConfig = Exclude<UserConfig["accessLog"], string | undefined>;

/** Backends are tried in their order; the access log is in `file`. */
function start(
  urls: readonly string[],
  change: Parameters<typeof inOrder>[1] = {},
  accessLog: AccessLogConfig = { log: "all" },
  env: Record<string, string> = {},
): Promise<Proxy> {
  const { config, files = {} } = inOrder(urls, change);
  return proxy({ config: { ...config, accessLog: { file, ...accessLog } }, files, env });
}

async function onlyLine(): Promise<AccessLine> {
  const lines = await accessLinesOf(file, 1);
  expect(lines).toHaveLength(1);
  return lines[0]!;
}

describe("a line", () => {
  test("of a request that went well says all there is to say", async () => {
    const { url, port } = backend(() => ({ status: 201, body: "created" }));
    const front = await start([url]);
    const host = new URL(front.url).host;
    const before = Date.now();
    const response = await fetch(`${front.url}/cart/7?item=1`, { method: "POST", body: "one" });
    expect(await response.text()).toBe("created");
    const line = await onlyLine();
    expect(line).toEqual({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      level: "info",
      message: "request",
      requestId: expect.stringMatching(/^[a-z0-9-]+$/),
      traceId: null,
      spanId: null,
      client: "127.0.0.1",
      method: "POST",
      host,
      path: "/cart/7",
      query: "item=1",
      status: 201,
      requestBytes: 3,
      responseBytes: 7,
      durationMs: expect.any(Number),
      firstByteMs: expect.any(Number),
      pool: "web",
      backend: `127.0.0.1:${port}`,
      attempts: 1,
      strategy: "in-order",
      strategyVersion: (await front.pools())[0]?.strategy.version,
      endedBy: "backend",
      phase: "done",
      error: null,
      headers: {},
    });
    expect(Date.parse(line["time"] as string)).toBeGreaterThanOrEqual(before);
    expect(line["durationMs"]).toBeGreaterThanOrEqual(line["firstByteMs"] as number);
  });

  test("names the request as the backend and the client know it", async () => {
    const there = backend();
    const front = await start([there.url, deadBackend().url]);
    await (await fetch(`${front.url}/good`)).text();
    const [line] = await accessLinesOf(file, 1);
    expect(line?.["requestId"]).toBe(there.requests[0]?.header("x-request-id") ?? "none");
    there.stop();
    const { error } = (await (await fetch(`${front.url}/bad`)).json()) as {
      error: { requestId: string };
    };
    const [, refused] = await accessLinesOf(file, 2);
    expect(refused?.["requestId"]).toBe(error.requestId);
  });

  test("of a request that was retried has the backend that answered and the number of attempts", async () => {
    const { url, port } = backend();
    const front = await start([deadBackend().url, url]);
    await (await fetch(front.url)).text();
    expect(await onlyLine()).toMatchObject({
      status: 200,
      attempts: 2,
      backend: `127.0.0.1:${port}`,
      error: null,
    });
  });

  test("of a request that is traced has the ids of its span", async () => {
    using receiver = new OtlpReceiver();
    const { url } = backend();
    const front = await start(
      [url],
      {},
      { log: "all" },
      {
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint,
        OTEL_BSP_SCHEDULE_DELAY: "20",
      },
    );
    await (await fetch(front.url)).text();
    const server = (await receiver.spans(2)).find(({ kind }) => kind === "SERVER");
    const line = await onlyLine();
    expect(line["traceId"]).toBe(server?.traceId ?? "none");
    expect(line["spanId"]).toBe(server?.spanId ?? "none");
  });
});

describe("who ended it, and how far it had come", () => {
  test("a path without a route", async () => {
    const { url } = backend();
    const { config, files = {} } = inOrder([url]);
    const front = await proxy({
      config: {
        ...config,
        routes: [{ path: "/v1/*", pool: "web" }],
        accessLog: { file, log: "errors" },
      },
      files,
    });
    expect((await fetch(`${front.url}/v2`)).status).toBe(404);
    expect(await onlyLine()).toMatchObject({
      level: "info",
      status: 404,
      error: "no_route",
      endedBy: "proxy",
      pool: null,
      backend: null,
      attempts: 0,
    });
  });

  test("no backend to be reached", async () => {
    const dead = deadBackend();
    const front = await start([dead.url], {}, { log: "errors" });
    const response = await fetch(front.url);
    expect(response.status).toBe(502);
    const body = await response.text();
    expect(await onlyLine()).toMatchObject({
      level: "error",
      status: 502,
      error: "connect_refused",
      endedBy: "backend",
      phase: "head",
      backend: `127.0.0.1:${dead.port}`,
      attempts: 1,
      // Of the answer that was ours.
      responseBytes: body.length,
      firstByteMs: expect.any(Number),
    });
  });

  test("a pool that is down", async () => {
    const front = await start([deadBackend().url], { health: { fall: 1 } }, { log: "errors" });
    await front.until("it down", ([pool]) => pool?.backends[0]?.health === "unhealthy");
    expect((await fetch(front.url)).status).toBe(503);
    expect(await onlyLine()).toMatchObject({
      status: 503,
      error: "no_backend_available",
      endedBy: "proxy",
      phase: "head",
      pool: "web",
      backend: null,
      attempts: 0,
    });
  });

  test("a client that goes away before the answer is a 499", async () => {
    const silent = backend(() => null);
    const front = await start([silent.url], {}, { log: "errors" });
    const client = await connectRaw(front.port);
    client.send("GET /gone HTTP/1.1\r\nHost: a\r\n\r\n");
    await silent.seen(1);
    client.reset();
    expect(await onlyLine()).toMatchObject({
      level: "info",
      path: "/gone",
      status: 499,
      error: "client_gone",
      endedBy: "client",
      phase: "head",
      firstByteMs: null,
      responseBytes: 0,
    });
  });

  test("a client that goes away within the answer keeps the status that it got", async () => {
    const { url } = backend(async (_, wire) => {
      await wire.write("HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n");
      await wire.write("x".repeat(600_000));
    });
    const front = await start([url], {}, { log: "errors" });
    const client = await connectRaw(front.port, { keep: false });
    client.send("GET /gone HTTP/1.1\r\nHost: a\r\n\r\n");
    while (client.receivedBytes() < 300_000) await Bun.sleep(5);
    client.reset();
    const line = await onlyLine();
    expect(line).toMatchObject({
      level: "info",
      status: 200,
      error: "client_gone",
      endedBy: "client",
      phase: "body",
    });
    expect(line["responseBytes"]).toBeGreaterThan(0);
  });

  test("an answer that a backend broke off", async () => {
    const { url } = backend(async (_, wire) => {
      await wire.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
      await wire.write("x".repeat(600_000));
      wire.reset();
    });
    const front = await start([url], {}, { log: "errors" });
    await expect((await fetch(front.url)).bytes()).rejects.toThrow();
    expect(await onlyLine()).toMatchObject({
      level: "error",
      status: 200,
      error: "reset",
      endedBy: "backend",
      phase: "body",
    });
  });

  test("a backend that does not answer in time", async () => {
    const { url } = backend(() => null);
    const front = await start([url], { timeouts: { firstByte: "50ms" } }, { log: "errors" });
    expect((await fetch(front.url)).status).toBe(504);
    const line = await onlyLine();
    expect(line).toMatchObject({
      status: 504,
      error: "first_byte_timeout",
      endedBy: "backend",
      phase: "head",
    });
    expect(line["durationMs"]).toBeGreaterThanOrEqual(45);
  });

  test("what went well is not among the errors", async () => {
    const answers = [{ status: 200 }, { status: 404 }, { status: 500 }, { status: 200 }];
    const there = backend(() => answers[there.requests.length - 1] ?? null);
    const front = await start([there.url], {}, { log: "errors" });
    for (const path of ["/a", "/b", "/c", "/d"]) await (await fetch(front.url + path)).text();
    await front.stop();
    const lines = accessLines(readFileSync(file, "utf8"));
    expect(lines.map(({ path, status }) => [path, status])).toEqual([["/c", 500]]);
  });
});

describe("what it never says", () => {
  test("secrets of the query", async () => {
    const { url } = backend();
    const front = await start([url], {}, { log: "all", redactQuery: ["api_key"] });
    await fetch(`${front.url}/a?API_Key=s3cret&x=1&X-Amz-Signature=s3cret&%73ig=s3cret`);
    expect((await onlyLine())["query"]).toBe(
      "API_Key=REDACTED&x=1&X-Amz-Signature=REDACTED&%73ig=REDACTED",
    );
    expect(readFileSync(file, "utf8")).not.toContain("s3cret");
  });

  test("secrets under what a server could take for the same key", async () => {
    const { url } = backend();
    const front = await start([url], {}, { log: "all", redactQuery: ["token"] });
    const queries = [
      "token[]=s3cret",
      "a;token=s3cret;s3cret",
      "+token=s3cret",
      "%20token=s3cret",
      "token%00=s3cret",
      "a?token=s3cret",
    ];
    for (const query of queries) await (await fetch(`${front.url}/p?${query}`)).text();
    await front.stop();
    const lines = accessLines(readFileSync(file, "utf8"));
    expect(lines.map(({ query }) => query)).toEqual(
      queries.map((query) => query.replace(/s3cret.*/, "REDACTED")),
    );
  });

  test("users and passwords of Referer and Host", async () => {
    const { url } = backend();
    const front = await start([url], {}, { log: "all", requestHeaders: ["referer", "host"] });
    const client = await connectRaw(front.port);
    const referer = "https://u:s3cret@shop.example/x#sig=s3cret";
    client.send(
      `GET / HTTP/1.1\r\nHost: u:s3cret@h.example\r\nReferer: ${referer}\r\nConnection: close\r\n\r\n`,
    );
    await onlyLine();
    const text = readFileSync(file, "utf8");
    expect(text).toContain("h.example");
    expect(text).toContain("https://shop.example/x#sig=REDACTED");
    expect(text).not.toContain("s3cret");
  });

  test("secrets of the query, which no span says either", async () => {
    using receiver = new OtlpReceiver();
    const { url } = backend();
    await start(
      [url],
      {},
      { log: "all", redactQuery: ["api_key"] },
      {
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${receiver.endpoint}/v1/traces`,
        OTEL_BSP_SCHEDULE_DELAY: "20",
      },
    ).then((front) => fetch(`${front.url}/a?api_key=s3cret&x=1&sig=s3cret`));
    const spans = await receiver.spans(2);
    const [client, server] = spans.toSorted((a, b) => (a.kind < b.kind ? -1 : 1));
    expect(server?.attributes["url.query"]).toBe("api_key=REDACTED&x=1&sig=REDACTED");
    expect(client?.attributes["url.full"]).toEndWith("/a?api_key=REDACTED&x=1&sig=REDACTED");
  });

  test("users and passwords before a host, of requests that are refused for them", async () => {
    using receiver = new OtlpReceiver();
    const { url } = backend();
    const front = await start(
      [url],
      {},
      { log: "all", requestHeaders: ["referer", "host"] },
      {
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${receiver.endpoint}/v1/traces`,
        OTEL_BSP_SCHEDULE_DELAY: "20",
      },
    );
    const heads = [
      "GET /a HTTP/1.1\r\nHost: user:s3cret@shop.example",
      "GET /b HTTP/1.1\r\nHost: s3cret@shop.example:80\r\nReferer: http://u:s3cret@shop.example/x",
    ];
    for (const head of heads) {
      const client = await connectRaw(front.port);
      client.send(`${head}\r\nConnection: close\r\n\r\n`);
      await client.closed;
      expect(client.received()).toStartWith("HTTP/1.1 400 ");
      client.end();
    }
    const lines = await accessLinesOf(file, 2);
    expect(lines.map(({ path, host }) => [path, host])).toEqual([
      ["/a", "shop.example"],
      ["/b", "shop.example:80"],
    ]);
    expect(lines[1]?.headers).toEqual({
      referer: "http://shop.example/x",
      host: "shop.example:80",
    });
    const spans = await receiver.spans(2);
    const written = JSON.stringify(spans.map(({ attributes }) => attributes));
    expect(readFileSync(file, "utf8") + written).not.toContain("s3cret");
  });

  test("credentials", async () => {
    const { url } = backend(() => ({ headers: [["Set-Cookie", "s3cret"]] }));
    const front = await start([url], {}, { log: "all", requestHeaders: ["User-Agent"] });
    const headers = {
      authorization: "Bearer s3cret",
      cookie: "s3cret=1",
      "proxy-authorization": "Basic s3cret",
      "user-agent": "curl",
    };
    await (await fetch(front.url, { headers })).text();
    expect((await onlyLine()).headers).toEqual({ "user-agent": "curl" });
    expect(readFileSync(file, "utf8")).not.toContain("s3cret");
  });
});

describe("log injection", () => {
  /** With what Bun lets pass: control characters of C1, of C0 the tab alone. */
  const AGENT = 'x" }\t\u009b31m\u009b2J \\ {"message":"request","status":200} status=200 \u00ff';

  test("quotes, escape sequences and line breaks of a client stay one line with what was sent", async () => {
    const { url } = backend();
    const front = await start([url], {}, { log: "all", requestHeaders: ["user-agent"] });
    const requests = [
      `GET /ok?a="b" HTTP/1.1\r\nHost: a\r\nUser-Agent: ${AGENT}\r\nConnection: close\r\n\r\n`,
      `GET /%0d%0a%1b[31m HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
      `GET /esc HTTP/1.1\r\nHost: a\r\nUser-Agent: \u001b[31m\r\nConnection: close\r\n\r\n`,
      `GET /\u001b[31m HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
      `GET /h HTTP/1.1\r\nHost: a"\u001b[31m\r\nConnection: close\r\n\r\n`,
    ];
    for (const request of requests) {
      const client = await connectRaw(front.port);
      client.send(Buffer.from(request, "latin1"));
      await client.closed;
      client.end();
    }
    // Behind them, so that all that the three caused has been written.
    await (await fetch(`${front.url}/last`)).text();
    const text = await (async () => {
      for (;;) {
        const found = readFileSync(file, "latin1");
        if (found.includes('"path":"/last"')) return found;
        await Bun.sleep(5);
      }
    })();
    expect(text).toMatch(/^[\x20-\x7e\n]*$/);
    const lines = accessLines(text);
    const [first, second] = lines;
    // What Bun refuses by itself is no request of ours; whatever it lets pass has its line.
    expect(first).toMatchObject({ path: "/ok", status: 200, error: null });
    expect(first?.["query"]).toMatch(/^a=("|%22)b("|%22)$/);
    expect(first?.headers["user-agent"]).toBe(AGENT);
    expect(second?.path).toBe("/%0d%0a%1b[31m");
    for (const line of lines) expect(line["message"]).toBe("request");
    expect(lines.at(-1)?.path).toBe("/last");
  });

  test("the form for terminals holds no control characters either", async () => {
    const { url } = backend();
    const options = { log: "all", format: "text", requestHeaders: ["user-agent"] } as const;
    const front = await start([url], {}, options);
    const client = await connectRaw(front.port);
    const request = `GET /ok HTTP/1.1\r\nHost: a\r\nUser-Agent: ${AGENT}\r\nConnection: close\r\n\r\n`;
    client.send(Buffer.from(request, "latin1"));
    await client.closed;
    await front.stop();
    const text = readFileSync(file, "latin1");
    expect(text).toMatch(/^\d\d:\d\d:\d\d 200 GET a\/ok [\x20-\x7e]*\n$/);
    expect(text).toContain(" user-agent=");
  });
});
