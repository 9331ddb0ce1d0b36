import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { HealthConfig } from "../../src/config/config.ts";
import { createProbe, MAX_PROBE_BYTES, type ProbeResult } from "../../src/health/probe.ts";
import {
  type FakeBackend,
  type FakeBackendOptions,
  type FakeHandler,
  startFakeBackend,
} from "../_support/fake-backend.ts";
import { backendConfig } from "../_support/pools.ts";

const CONFIG: HealthConfig = {
  path: "/health",
  port: null,
  host: null,
  headers: {},
  method: "GET",
  intervalMs: 5000,
  timeoutMs: 10_000,
  rise: 2,
  fall: 3,
  jitter: 0,
  status: [[200, 299]],
  body: null,
};
const SHORT = { timeoutMs: 100 };

const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

function start(how: FakeHandler | FakeBackendOptions = {}): FakeBackend {
  const backend = startFakeBackend(how);
  cleanUps.push(() => backend.stop());
  return backend;
}

function probe(
  backend: FakeBackend,
  config: Partial<HealthConfig> = {},
  signal = new AbortController().signal,
): Promise<ProbeResult> {
  const { address } = backend;
  return createProbe({ ...CONFIG, ...config })(backendConfig("b", { address }), signal);
}

describe("an HTTP probe", () => {
  test("finds a 200 with a whole body good, and leaves no connection behind", async () => {
    const backend = start(() => ({ body: "fine" }));
    expect(await probe(backend)).toEqual({ good: true, reason: "status 200" });
    await backend.until(() => backend.openConnections === 0);
    expect(backend.refused).toEqual([]);
  });

  test("asks for its path at the backend's host, alone on its connection", async () => {
    const backend = start();
    await probe(backend, { headers: { "X-Probe": "yes", Connection: "keep-alive" } });
    const [request] = backend.requests;
    expect([request?.method, request?.target]).toEqual(["GET", "/health"]);
    expect(request?.header("host")).toBe(`127.0.0.1:${backend.port}`);
    expect(request?.header("connection")).toBe("close");
    expect(request?.header("x-probe")).toBe("yes");
    expect(request?.header("user-agent")).toBe("leastwise-probe");
  });

  test("uses the configured method, host and port", async () => {
    const traffic = start();
    const health = start();
    const result = await probe(traffic, {
      method: "HEAD",
      host: "api.internal",
      port: health.port,
    });
    expect(result).toEqual({ good: true, reason: "status 200" });
    expect(traffic.connections).toBe(0);
    expect(health.requests[0]?.method).toBe("HEAD");
    expect(health.requests[0]?.header("host")).toBe("api.internal");
  });

  test("goes over a unix socket", async () => {
    const folder = mkdtempSync(join(tmpdir(), "probe-test-"));
    cleanUps.push(() => rmSync(folder, { recursive: true, force: true }));
    const backend = start({ unix: join(folder, "b.sock"), handler: () => "ok" });
    expect(await probe(backend, { port: 1 })).toEqual({ good: true, reason: "status 200" });
    expect(backend.requests[0]?.header("host")).toBe("localhost");
  });

  test("goes by the configured status ranges", async () => {
    const backend = start(() => ({ status: 503 }));
    expect(await probe(backend)).toEqual({ good: false, reason: "status 503" });
    const both: Partial<HealthConfig> = {
      status: [
        [200, 204],
        [503, 503],
      ],
    };
    expect((await probe(backend, both)).good).toBe(true);
    backend.handler = () => ({ status: 205 });
    expect((await probe(backend, both)).good).toBe(false);
  });

  test("does not follow a redirect", async () => {
    const backend = start(() => ({ status: 302, headers: [["Location", "/elsewhere"]] }));
    expect(await probe(backend)).toEqual({ good: false, reason: "status 302" });
    expect(backend.requests).toHaveLength(1);
  });

  test("looks for the configured text, also where chunks cut it", async () => {
    const backend = start(() => ({ body: "database: green", chunked: true, pieceBytes: 3 }));
    expect((await probe(backend, { body: "base: gr" })).good).toBe(true);
    expect(await probe(backend, { body: "red" })).toEqual({
      good: false,
      reason: 'status 200 without "red" in its body',
    });
  });

  test("takes a body that ends with the connection", async () => {
    const backend = start(async (_request, wire) => {
      await wire.write("HTTP/1.1 200 OK\r\n\r\nfine");
      wire.fin();
    });
    expect((await probe(backend, { body: "fine" })).good).toBe(true);
  });
});

describe("an HTTP probe fails", () => {
  test("when nobody listens", async () => {
    const backend = start();
    backend.stop();
    expect(await probe(backend)).toEqual({ good: false, reason: "ECONNREFUSED" });
  });

  test("when the backend takes the request and says nothing", async () => {
    const backend = start(() => null);
    expect(await probe(backend, SHORT)).toEqual({
      good: false,
      reason: "no whole answer within 100 ms",
    });
    await backend.until(() => backend.openConnections === 0);
  });

  test("when a good head is followed by half a body and silence", async () => {
    const backend = start(() => ({ body: "abcdef", cutAfter: 47 }));
    expect((await probe(backend, SHORT)).reason).toBe("no whole answer within 100 ms");
  });

  test("when chunks never end, however steadily they come", async () => {
    const backend = start(async (_request, wire) => {
      await wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      while (wire.end === null) {
        await wire.write("1\r\nx\r\n");
        await Bun.sleep(5);
      }
    });
    expect((await probe(backend, SHORT)).reason).toBe("no whole answer within 100 ms");
  });

  test("when the answer is larger than we are willing to read", async () => {
    const backend = start(() => ({ body: "x".repeat(2 * MAX_PROBE_BYTES) }));
    expect(await probe(backend)).toEqual({
      good: false,
      reason: `an answer of more than ${MAX_PROBE_BYTES} bytes`,
    });
  });

  test("when the connection ends or breaks in the middle", async () => {
    const backend = start(async (_request, wire) => {
      await wire.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc");
      wire.fin();
    });
    expect(await probe(backend)).toEqual({ good: false, reason: "closed without a whole answer" });
    backend.handler = (_request, wire) => wire.reset();
    expect((await probe(backend)).good).toBe(false);
  });

  test("when the answer is not HTTP", async () => {
    const backend = start(() => ({ raw: ["SSH-2.0-OpenSSH_9.6\r\n\r\n"] }));
    const result = await probe(backend);
    expect(result.good).toBe(false);
    expect(result.reason).toStartWith("no proper answer: ");
  });

  test("when the port is impossible, without throwing", async () => {
    expect((await probe(start(), { port: 70_000 })).good).toBe(false);
  });
});

describe("a TCP probe", () => {
  test("is good as soon as the connection is there, and sends nothing", async () => {
    const backend = start(() => null);
    expect(await probe(backend, { path: null })).toEqual({ good: true, reason: "connected" });
    await backend.until(() => backend.connections === 1 && backend.openConnections === 0);
    expect(backend.requests).toEqual([]);
  });

  test("is bad when nobody listens", async () => {
    const backend = start();
    backend.stop();
    expect(await probe(backend, { path: null })).toEqual({ good: false, reason: "ECONNREFUSED" });
  });
});

describe("a probe that is called off", () => {
  test("ends at once and gives its connection back", async () => {
    const backend = start(() => null);
    const stop = new AbortController();
    const result = probe(backend, {}, stop.signal);
    await backend.seen(1);
    stop.abort();
    expect(await result).toEqual({ good: false, reason: "stopped" });
    await backend.until(() => backend.openConnections === 0);
  });

  test("before it began does not connect", async () => {
    const backend = start();
    expect(await probe(backend, {}, AbortSignal.abort())).toEqual({
      good: false,
      reason: "stopped",
    });
    expect(await probe(backend)).toEqual({ good: true, reason: "status 200" });
    expect(backend.connections).toBe(1);
  });
});
