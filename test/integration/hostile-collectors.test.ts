/** Collectors that answer what no collector answers, through the compiled binary. */
import { afterEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { createServer as createHttp2Server, type ServerHttp2Stream } from "node:http2";
import { createServer, type Server, type Socket } from "node:net";
import { brotliCompressSync, constants } from "node:zlib";
import { crowding } from "../_support/crowding.ts";
import { useHarness } from "../_support/harness.ts";
import type { Proxy } from "../_support/proxy.ts";

const harness = useHarness();
const open: Disposable[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each[Symbol.dispose]();
});

const MIB = 1024 * 1024;
/** What 256 MiB of zeros become: some hundred bytes. */
function bomb(encoding: "br" | "gzip" | "zstd"): Buffer {
  const zeros = Buffer.alloc(256 * MIB);
  if (encoding === "br") {
    return brotliCompressSync(zeros, { params: { [constants.BROTLI_PARAM_QUALITY]: 3 } });
  }
  return Buffer.from(encoding === "gzip" ? Bun.gzipSync(zeros) : Bun.zstdCompressSync(zeros));
}

async function proxyWith(endpoint: string, env: Record<string, string> = {}): Promise<Proxy> {
  const backend = harness.backend();
  const pools = { web: { backends: [backend.url], health: false, ejection: false } } as const;
  return harness.proxy({
    config: { workers: 1, pools },
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      OTEL_BSP_SCHEDULE_DELAY: "20",
      OTEL_METRIC_EXPORT_INTERVAL: "100",
      ...env,
    },
  });
}

async function request(proxy: Proxy): Promise<void> {
  const response = await fetch(proxy.url);
  expect(response.status).toBe(200);
  await response.arrayBuffer();
}

function residentMib(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

interface Line {
  readonly message: string;
  readonly reason: string;
}

function failures(proxy: Proxy): Line[] {
  return proxy
    .log()
    .split("\n")
    .filter((line) => line.includes("cannot be exported"))
    .map((line) => JSON.parse(line) as Line);
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`never saw ${what}`);
    await Bun.sleep(10);
  }
}

describe("over HTTP", () => {
  test.each(["br", "gzip", "zstd"] as const)(
    "an answer that %s makes small is never made large, and what was sent counts as taken",
    async (encoding) => {
      const body = bomb(encoding);
      let answers = 0;
      const asked = new Set<string | null>();
      const server = Bun.serve({
        hostname: "127.0.0.1",
        port: 0,
        async fetch(incoming) {
          await incoming.bytes();
          asked.add(incoming.headers.get("accept-encoding"));
          answers++;
          return new Response(body.subarray(0, MIB), { headers: { "content-encoding": encoding } });
        },
      });
      open.push({ [Symbol.dispose]: () => void server.stop(true) });
      const proxy = await proxyWith(`http://127.0.0.1:${server.port}`);
      const [worker] = await proxy.workers();
      await request(proxy);
      await until("some answers", () => answers >= 6);
      await request(proxy);
      // Each of them would come to 256 MiB.
      expect(residentMib(worker!.pid)).toBeLessThan(200);
      expect(residentMib(proxy.pid)).toBeLessThan(200);
      expect([...asked]).toEqual(["identity"]);
      expect(await proxy.stop()).toBe(0);
      expect(failures(proxy)).toEqual([]);
    },
    60_000,
  );

  test("an answer whose chunk extension never ends is cut off with the export's time", async () => {
    const closed = Promise.withResolvers<void>();
    const endless = Buffer.alloc(64 * 1024, "a");
    const server = await tcpServer((socket) => {
      socket.on("close", () => closed.resolve());
      socket.once("data", () => {
        socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;");
        const more = (): void => {
          if (!socket.destroyed) socket.write(endless, () => setTimeout(more, 1));
        };
        more();
      });
    });
    const proxy = await proxyWith(`http://127.0.0.1:${server}`, {
      OTEL_EXPORTER_OTLP_TIMEOUT: "500",
      OTEL_METRICS_EXPORTER: "none",
    });
    const [worker] = await proxy.workers();
    await request(proxy);
    await closed.promise;
    await until("the report", () => failures(proxy).length > 0);
    expect(failures(proxy)[0]?.reason).toBe("no answer within 500 ms");
    expect(residentMib(worker!.pid)).toBeLessThan(200);
  });

  test("a long reason is quoted in part", async () => {
    const server = await tcpServer((socket) =>
      socket.on("data", () =>
        socket.write(`HTTP/1.1 500 ${"r".repeat(10_000)}\r\nContent-Length: 0\r\n\r\n`),
      ),
    );
    const proxy = await proxyWith(`http://127.0.0.1:${server}`);
    await until("the report", () => failures(proxy).length > 0);
    expect(failures(proxy)[0]?.reason).toBe(`${"r".repeat(200)}… (9800 characters left out) (500)`);
  });

  test("a long note on what was not taken is quoted in part", async () => {
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      async fetch(incoming) {
        await incoming.bytes();
        return Response.json({ partialSuccess: { errorMessage: "n".repeat(10_000) } });
      },
    });
    open.push({ [Symbol.dispose]: () => void server.stop(true) });
    const proxy = await proxyWith(`http://127.0.0.1:${server.port}`, {
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    });
    await until("the note", () => proxy.log().includes("Partial Success"));
    const note = proxy
      .log()
      .split("\n")
      .find((line) => line.includes("Partial Success"));
    expect(note!.length).toBeLessThan(500);
    expect(note).toContain("characters left out");
  });
});

describe("over gRPC", () => {
  test("an endless answer of large messages does not hold up the stop", async () => {
    const message = framed(Buffer.alloc(MIB));
    let streams = 0;
    const port = await grpcServer((stream) => {
      streams++;
      stream.respond({ ":status": 200, "content-type": "application/grpc" });
      const sending = setInterval(() => stream.write(message), 5);
      stream.on("close", () => clearInterval(sending));
    });
    const proxy = await proxyWith(`http://127.0.0.1:${port}`, {
      OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
    });
    await request(proxy);
    await until("the reports", () => failures(proxy).length === 2 && streams > 2);
    for (const { reason } of failures(proxy)) expect(reason).toContain("RESOURCE_EXHAUSTED");
    const before = performance.now();
    expect(await proxy.stop()).toBe(0);
    expect(performance.now() - before).toBeLessThan(2000 * crowding());
  });

  test("a long message is quoted in part", async () => {
    const port = await grpcServer((stream) => {
      stream.respond(
        {
          ":status": 200,
          "content-type": "application/grpc",
          "grpc-status": "13",
          "grpc-message": "m".repeat(8000),
        },
        { endStream: true },
      );
    });
    const proxy = await proxyWith(`http://127.0.0.1:${port}`, {
      OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
    });
    await until("the report", () => failures(proxy).length > 0);
    expect(failures(proxy)[0]?.reason).toBe(
      `${"m".repeat(200)}… (7800 characters left out) (INTERNAL)`,
    );
  });
});

/** A message of gRPC that is not compressed. */
function framed(body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

async function grpcServer(answer: (stream: ServerHttp2Stream) => void): Promise<number> {
  const server = createHttp2Server();
  server.on("session", (session) => session.on("error", () => {}));
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("error", () => {});
    answer(stream);
  });
  return listening(server);
}

/** Takes connections and does with them as told. */
async function tcpServer(serve: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    serve(socket);
  });
  open.push({
    [Symbol.dispose]() {
      for (const socket of sockets) socket.destroy();
    },
  });
  return listening(server);
}

async function listening(server: Pick<Server, "listen" | "address" | "close">): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  open.push({ [Symbol.dispose]: () => void server.close() });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
