/** What the facts that the proxy gives to strategies are worth: built-ins in the compiled binary, with real sockets. */
import { describe, expect, test } from "bun:test";
import type { FakeBackend } from "../_support/fake-backend.ts";
import { useHarness } from "../_support/harness.ts";
import type { Proxy } from "../_support/proxy.ts";

const { backend, proxy } = useHarness();

function backends(count: number): FakeBackend[] {
  return Array.from({ length: count }, (_, index) => backend(() => `backend ${index}`));
}

async function frontOf(
  list: readonly FakeBackend[],
  strategy: string | { readonly use: string; readonly options: unknown },
  workers = 1,
): Promise<Proxy> {
  // Ids that no port is part of: where a hash of them leads is the same in each run.
  const backends = list.map(({ url }, index) => ({ url, id: `backend-${index}` }));
  // Ejection would cure what the strategy has to, and retries would hide what it picked.
  const without = { health: false, ejection: false, retry: false } as const;
  return proxy({ config: { pools: { web: { backends, strategy, ...without } }, workers } });
}

/** So many requests, a few at a time. */
async function send(url: string, requests: number, atOnce = 8): Promise<void> {
  let left = requests;
  const one = async () => {
    while (left-- > 0) await (await fetch(url)).text();
  };
  await Promise.all(Array.from({ length: atOnce }, one));
}

for (const strategy of ["peak-ewma", "least-time"]) {
  describe(strategy, () => {
    test("leaves a slow backend alone", async () => {
      const [slow, ...others] = backends(3);
      if (slow !== undefined) slow.handler = () => ({ delayMs: 400, body: "slow" });
      for (const other of others) other.handler = () => ({ delayMs: 20, body: "quick" });
      const front = await frontOf([slow as FakeBackend, ...others], strategy);
      // So few that two in a row are quick beside it, also where the machine takes its time for each.
      const startedAtMs = performance.now();
      await send(front.url, 600, 4);
      // It is tried, and the first answer says it all; least connections would always have one there, which makes 15
      // in 6 s. Where the others take as long now and then, it is tried again.
      const always = (performance.now() - startedAtMs) / 400;
      expect(slow?.requests.length).toBeLessThanOrEqual(Math.max(8, 0.85 * always));
    });

    test("does not rush to a backend that fails at once, though nobody ejects it", async () => {
      const [failing, ...others] = backends(3);
      if (failing !== undefined) failing.handler = () => ({ status: 503, body: "no" });
      for (const other of others) other.handler = () => ({ delayMs: 20, body: "yes" });
      const front = await frontOf([failing as FakeBackend, ...others], strategy);
      await send(front.url, 400);
      expect(failing?.requests.length).toBeLessThanOrEqual(8);
    });
  });
}

describe("consistent-hash", () => {
  test("sends the same key to the same backend in both workers", async () => {
    const list = backends(4);
    const strategy = { use: "consistent-hash", options: { key: { header: "X-User" } } };
    const front = await frontOf(list, strategy, 2);
    const homes = new Map<string, string>();
    for (let round = 0; round < 6; round++) {
      for (let user = 0; user < 20; user++) {
        const headers = { "X-User": `user-${user}`, Connection: "close" };
        const home = await (await fetch(front.url, { headers })).text();
        expect(home).toBe(homes.get(`user-${user}`) ?? home);
        homes.set(`user-${user}`, home);
      }
    }
    expect(new Set(homes.values()).size).toBe(4);
  });
});

describe("p2c", () => {
  test("gives a slow backend less", async () => {
    const [slow, ...others] = backends(3);
    if (slow !== undefined) slow.handler = () => ({ delayMs: 400, body: "slow" });
    const front = await frontOf([slow as FakeBackend, ...others], "p2c");
    await send(front.url, 300);
    const counts = [slow as FakeBackend, ...others].map(({ requests }) => requests.length);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(300);
    expect(counts[0]).toBeLessThan(60);
  });
});
