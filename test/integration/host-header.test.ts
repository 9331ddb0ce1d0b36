/** Which Host a backend sees, by `hostHeader`, through the compiled binary. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FakeBackend } from "../_support/fake-backend.ts";
import { useHarness } from "../_support/harness.ts";
import { exchangeRaw } from "../_support/raw-client.ts";

const harness = useHarness();

/** Host and X-Forwarded-Host as the backend got them. */
async function hostsAt(
  backend: FakeBackend,
  hostHeader: "preserve" | "backend" | undefined,
  hosts: readonly string[],
) {
  const proxy = await harness.proxy({
    config: {
      pools: {
        web: { backends: [backend.url], health: false, ...(hostHeader && { hostHeader }) },
      },
      workers: 1,
    },
  });
  for (const host of hosts) {
    const head = `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
    expect(await exchangeRaw(proxy.port, head)).toStartWith("HTTP/1.1 200 ");
  }
  const old = await exchangeRaw(proxy.port, "GET / HTTP/1.0\r\n\r\n");
  expect(old).toMatch(/^HTTP\/1\.[01] 200 /);
  return backend.requests.map((each) => [each.header("host"), each.header("x-forwarded-host")]);
}

const HOSTS = ["shop.example", "Shop.Example:8080", "shop.example:80", "[::1]", "[2001:DB8::7]:81"];

describe("the backend sees", () => {
  test.each(["preserve", undefined] as const)(
    "the client's Host as it was sent, with its port (hostHeader: %p) [D09]",
    async (hostHeader) => {
      const backend = harness.backend();
      expect(await hostsAt(backend, hostHeader, HOSTS)).toEqual([
        ...HOSTS.map((host) => [host, host]),
        // HTTP/1.0 may come without one, and HTTP/1.1 may not.
        [`127.0.0.1:${backend.port}`, null],
      ]);
    },
  );

  test("its own address and port, and beside it the client's Host (hostHeader: backend) [D09]", async () => {
    const backend = harness.backend();
    const own = `127.0.0.1:${backend.port}`;
    expect(await hostsAt(backend, "backend", HOSTS)).toEqual([
      ...HOSTS.map((host) => [own, host]),
      [own, null],
    ]);
  });

  test("its own IPv6 address in brackets [D09]", async () => {
    const backend = harness.backend({ hostname: "::1" });
    const own = `[::1]:${backend.port}`;
    expect(await hostsAt(backend, "backend", ["a"])).toEqual([
      [own, "a"],
      [own, null],
    ]);
  });

  test("localhost on a unix socket, which has no address [D09]", async () => {
    const folder = mkdtempSync(join(tmpdir(), "leastwise-test-"));
    try {
      const backend = harness.backend({ unix: join(folder, "backend.sock") });
      expect(await hostsAt(backend, "backend", ["a"])).toEqual([
        ["localhost", "a"],
        ["localhost", null],
      ]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
