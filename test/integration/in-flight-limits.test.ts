/** `maxInFlight`: what a backend may have at once, counted by the backend itself. */
import { describe, expect, test } from "bun:test";
import { useHarness } from "../_support/harness.ts";
import { sendMany } from "../_support/load.ts";
import { isQuiet } from "../_support/proxy.ts";

const { backend, proxy } = useHarness();

function limited(urls: readonly string[], maxInFlight: number, workers: number) {
  return {
    config: {
      pools: {
        web: {
          backends: urls.map((url) => ({ url, maxInFlight })),
          health: false as const,
          ejection: false as const,
        },
      },
      workers,
    },
  };
}

describe("a backend that has as many requests as it may [G13]", () => {
  test("gets no other: there is no queue, but a 503 at once, and the next one as soon as one has ended [not G13]", async () => {
    const gate = Promise.withResolvers<void>();
    const only = backend(async () => {
      await gate.promise;
      return "ok";
    });
    const front = await proxy(limited([only.url], 2, 1));
    const admitted = [fetch(front.url), fetch(front.url)];
    await only.seen(2);
    for (const method of ["GET", "POST"]) {
      const refused = await fetch(front.url, { method });
      expect(refused.status).toBe(503);
      expect(refused.headers.get("retry-after")).toMatch(/^\d+$/);
      expect(refused.headers.get("proxy-status")).toBe("leastwise; error=destination_unavailable");
      expect(await refused.json()).toMatchObject({
        error: {
          code: "no_backend_available",
          message: "every backend of the pool is at its limit",
        },
      });
    }
    expect(only.requests).toHaveLength(2);
    gate.resolve();
    for (const each of admitted) expect((await each).status).toBe(200);
    await front.until("no request in flight", isQuiet);
    expect((await fetch(front.url)).status).toBe(200);
  });

  test.each([1, 2])(
    "never has more, under more load than fits, over %d workers",
    async (workers) => {
      const all = [1, 2].map(() => backend(() => ({ delayMs: 4, body: "ok" })));
      const front = await proxy(
        limited(
          all.map(({ url }) => url),
          3,
          workers,
        ),
      );
      const endings = await sendMany(front.url, 1500, 30);
      expect([...endings.keys()].toSorted()).toEqual(["200", "503"]);
      expect(all.map(({ maxConcurrent }) => maxConcurrent)).toEqual([3, 3]);
      const served = all.reduce((sum, { requests }) => sum + requests.length, 0);
      expect(served).toBe(endings.get("200") ?? 0);
      await front.until("no request in flight", isQuiet);
    },
  );
});
