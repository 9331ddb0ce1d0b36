/** `Via`: who a request has passed, and the end of one that comes back. Through the compiled binary. */
import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { UserConfig } from "../../src/index.ts";
import { useHarness } from "../_support/harness.ts";
import { exchangeRaw } from "../_support/raw-client.ts";

const harness = useHarness();
const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "leastwise-test-"));
  folders.push(folder);
  return folder;
}

/** Retries and ejection as they are by default: a loop must end with them, too. */
function leadingTo(backend: string, change: Partial<UserConfig> = {}): UserConfig {
  return { pools: { web: { backends: [backend], health: false } }, workers: 1, ...change };
}

function get(port: number, lines = ""): Promise<string> {
  return exchangeRaw(port, `GET / HTTP/1.1\r\nHost: a\r\n${lines}Connection: close\r\n\r\n`);
}

const OURS = /^1\.1 leastwise-[0-9a-f]{8}$/;

function expectLoop(received: string): void {
  expect(received).toStartWith("HTTP/1.1 508 ");
  expect(received).toContain('"code":"loop_detected"');
  expect(received).toMatch(/^proxy-status: leastwise; error=proxy_loop_detected\r$/im);
}

describe("Via", () => {
  test("says whom the request has passed, us as the last, in one line [D07]", async () => {
    const backend = harness.backend();
    const proxy = await harness.proxy({ config: leadingTo(backend.url) });
    await get(proxy.port);
    await get(proxy.port, "Via: 1.0 outer, 1.1 edge.example:80 (a, b)\r\nvia: HTTP/2 inner\r\n");
    await get(proxy.port, "Via:\r\n");
    const seen = backend.requests.map((request) => request.header("via") ?? "");
    expect(seen[0]).toMatch(OURS);
    expect(seen[1]).toBe(`1.0 outer, 1.1 edge.example:80 (a, b), HTTP/2 inner, ${seen[0]}`);
    expect(seen[2]).toBe(seen[0] as string);
  });

  test("with names that only look like ours is no loop [D07]", async () => {
    const backend = harness.backend();
    const proxy = await harness.proxy({ config: leadingTo(backend.url) });
    await get(proxy.port);
    const own = (backend.requests[0]?.header("via") ?? "").slice("1.1 ".length);
    for (const via of [
      "1.1 leastwise",
      "1.1 leastwise-00000000",
      `1.1 x${own}`,
      `1.1 a (${own})`,
    ]) {
      expect(await get(proxy.port, `Via: ${via}\r\n`)).toStartWith("HTTP/1.1 200 ");
    }
    const twice = `1.1 ${own}, 1.1 app, 1.1 ${own}`;
    expectLoop(await get(proxy.port, `Via: ${twice}, 1.1 ${own} (comment)\r\n`));
    expectLoop(await get(proxy.port, `Via: ${twice}, 1.1 ${own}\r\nConnection: Via\r\n`));
    expect(backend.requests).toHaveLength(5);
  });

  test("that comes by another route of the same program arrives, twice over [D07]", async () => {
    const backend = harness.backend(() => "arrived");
    const proxy = await harness.proxy({ config: leadingTo(backend.url) });
    await get(proxy.port);
    const own = backend.requests[0]?.header("via") ?? "";
    expect(await get(proxy.port, `Via: ${own}, 1.1 app, ${own}\r\n`)).toEndWith("arrived");
  });

  test("of two of ours in a row names both, and the request arrives [D07]", async () => {
    const backend = harness.backend(() => "arrived");
    const inner = await harness.proxy({ config: leadingTo(backend.url) });
    const outer = await harness.proxy({ config: leadingTo(inner.url) });
    expect(await get(outer.port)).toEndWith("\r\n\r\narrived");
    const hops = backend.requests[0]?.header("via")?.split(", ") ?? [];
    expect(hops).toEqual([expect.stringMatching(OURS), expect.stringMatching(OURS)]);
    expect(hops[0]).not.toBe(hops[1] as string);
  });
});

describe("a request that comes back", () => {
  test("to a proxy whose backend is itself, whichever worker gets it, ends there [D07]", async () => {
    const unix = join(newFolder(), "self.sock");
    const proxy = await harness.proxy({
      config: leadingTo(`unix:${unix}`, {
        listen: [{ address: "127.0.0.1:0" }, { unix }],
        pools: { web: { backends: [`unix:${unix}`], health: false, ejection: false } },
        // The socket is the first worker's alone, the port is both's.
        workers: 2,
      }),
    });
    const answers = await Promise.all(Array.from({ length: 20 }, () => get(proxy.port)));
    for (const received of answers) expectLoop(received);
    const posted = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
    expectLoop(await exchangeRaw(proxy.port, posted));
    // Each was sent three times, and not from there on again.
    const quiet = await proxy.until("quiet", ([pool]) => pool?.backends[0]?.inFlight === 0);
    expect(quiet[0]?.backends[0]?.requests).toBe(3 * 21);
  });

  test("by way of another proxy ends there [D07]", async () => {
    const folder = newFolder();
    const [first, second] = [join(folder, "1.sock"), join(folder, "2.sock")];
    const proxy = await harness.proxy({
      config: leadingTo(`unix:${second}`, {
        listen: [{ address: "127.0.0.1:0" }, { unix: first }],
      }),
    });
    const other = await harness.proxy({
      config: leadingTo(`unix:${first}`, { listen: [{ unix: second }] }),
    });
    expectLoop(await get(proxy.port));
    for (const each of [proxy, other]) {
      const quiet = await each.until("quiet", ([pool]) => pool?.backends[0]?.inFlight === 0);
      expect(quiet[0]?.backends[0]?.requests).toBe(3);
    }
  });
});
