/** Strategies at work in the compiled binary, with real requests. */
import { describe, expect, test } from "bun:test";
import type { FakeBackend } from "../_support/fake-backend.ts";
import { useHarness } from "../_support/harness.ts";

const { backend, proxy } = useHarness();

function backends(count: number): FakeBackend[] {
  return Array.from({ length: count }, (_, i) => backend(() => `backend ${i}`));
}

/** One request after the other; how many each body was answered. */
async function count(url: string, requests: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < requests; i++) {
    const text = await (await fetch(url)).text();
    counts[text] = (counts[text] ?? 0) + 1;
  }
  return counts;
}

describe("built-ins", () => {
  test.each(["least-connections", "round-robin"])(
    "%s: one request at a time to weights 1 and 3 is spread 1,000 : 3,000 of 4,000",
    async (strategy) => {
      const [light, heavy] = backends(2);
      const front = await proxy({
        config: {
          pools: {
            web: {
              backends: [
                { url: light?.url ?? "", weight: 1 },
                { url: heavy?.url ?? "", weight: 3 },
              ],
              strategy,
              health: false,
            },
          },
          workers: 1,
        },
      });
      const counts = await count(front.url, 4000);
      expect(counts["backend 0"]).toBeGreaterThanOrEqual(990);
      expect(counts["backend 0"]).toBeLessThanOrEqual(1010);
      expect((counts["backend 0"] ?? 0) + (counts["backend 1"] ?? 0)).toBe(4000);
    },
  );

  test("least-connections gives a slow backend less", async () => {
    const [quick, slow] = backends(2);
    if (quick === undefined || slow === undefined) throw new Error("two were started");
    let left = 400;
    // As slow as twenty answers of the quick one, however long these take.
    slow.handler = async () => {
      const seen = quick.requests.length;
      await quick.until(() => quick.requests.length >= seen + 20 || left <= 0);
      return "slow";
    };
    const front = await proxy({
      config: { pools: { web: { backends: [quick.url, slow.url] } } },
    });
    const one = async () => {
      while (left-- > 0) await (await fetch(front.url)).text();
      quick.changed();
    };
    await Promise.all(Array.from({ length: 8 }, one));
    expect(slow.requests.length).toBeLessThan(quick.requests.length / 2);
  });
});

describe("a strategy file", () => {
  test("with an import of its own and defineStrategy decides, by the request's header", async () => {
    const [first, second] = backends(2);
    const front = await proxy({
      config: {
        pools: {
          web: {
            backends: [
              { url: first?.url ?? "", id: "stable" },
              { url: second?.url ?? "", id: "canary" },
            ],
            strategy: { use: "./canary.ts", options: { header: "x-canary" } },
          },
        },
      },
      files: {
        "wanted.ts": 'export enum Wanted { canary = "canary", stable = "stable" }\n',
        "canary.ts": `
          import { defineStrategy } from "leastwise";
          import { Wanted } from "./wanted.ts";
          export default defineStrategy<{ header: string }>({
            name: "canary",
            apiVersion: 1,
            parseOptions: (raw) => raw as { header: string },
            create: ({ options }) => ({
              pick: (candidates, { request }) => {
                const wanted = request.headers.has(options.header) ? Wanted.canary : Wanted.stable;
                return candidates.find((backend) => backend.id === wanted) ?? null;
              },
            }),
          });`,
      },
    });
    expect(await count(front.url, 20)).toEqual({ "backend 0": 20 });
    const canary = await fetch(front.url, { headers: { "X-Canary": "1" } });
    expect(await canary.text()).toBe("backend 1");
    const [pool] = await front.pools();
    expect(pool?.strategy).toMatchObject({ name: "canary", quarantined: false, faults: 0 });
    expect(pool?.strategy.source).toEndWith("canary.ts");
    expect(pool?.strategy.version).toMatch(/^[0-9a-z]{8,}$/);
  });

  test("that refuses is answered 503 strategy_refused", async () => {
    const [only] = backends(1);
    const front = await proxy({
      config: { pools: { web: { backends: [only?.url ?? ""], strategy: "./never.ts" } } },
      files: {
        "never.ts": `export default { name: "never", apiVersion: 1, create: () => ({ pick: () => null }) };`,
      },
    });
    const response = await fetch(front.url);
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).not.toBeNull();
    expect(await response.json()).toMatchObject({ error: { code: "strategy_refused" } });
  });

  test("that begins to throw fails no request, is quarantined, and says so", async () => {
    const [first, second] = backends(2);
    const front = await proxy({
      config: {
        pools: { web: { backends: [first?.url ?? "", second?.url ?? ""], strategy: "./bad.ts" } },
        workers: 1,
      },
      files: {
        "bad.ts": `export default { name: "bad", apiVersion: 1, create: () => ({
          score(backend, { request }) {
            if (request.path === "/throw") throw new Error("secret of the plugin");
            return backend.inFlight;
          },
        }) };`,
      },
    });
    for (let i = 0; i < 20; i++) {
      const response = await fetch(`${front.url}/throw`);
      expect(response.status).toBe(200);
      expect(await response.text()).not.toContain("secret");
    }
    const [pool] = await front.pools();
    expect(pool?.strategy).toMatchObject({ quarantined: true, faults: 10 });
    expect(first?.requests.length).toBe(10);
    expect(front.log()).toContain("secret of the plugin");
    expect(front.log()).toContain("quarantine");
  });

  test("that throws in a timer or forgets a promise costs nobody anything", async () => {
    const [only] = backends(1);
    const front = await proxy({
      config: {
        pools: { web: { backends: [only?.url ?? ""], strategy: "./late.ts" } },
        workers: 1,
      },
      files: {
        "late.ts": `export default { name: "late", apiVersion: 1, create: () => ({
          score(backend, { request }) {
            if (request.path === "/timer") setTimeout(() => { throw new Error("late throw"); }, 0);
            if (request.path === "/promise") void Promise.reject(new Error("late rejection"));
            return backend.inFlight;
          },
        }) };`,
      },
    });
    for (let i = 0; i < 30; i++) {
      expect((await fetch(`${front.url}/${i % 2 === 0 ? "timer" : "promise"}`)).status).toBe(200);
    }
    expect((await front.workers())[0]).toMatchObject({ restarts: 0 });
    const lines = front
      .log()
      .split("\n")
      .filter((line) => line.includes("nobody handles"));
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.length).toBeLessThan(10);
  });

  test("that throws what is no error in a timer ends no worker", async () => {
    const [only] = backends(1);
    const front = await proxy({
      config: {
        pools: { web: { backends: [only?.url ?? ""], strategy: "./late.ts" } },
        workers: 1,
      },
      files: {
        "late.ts": `export default { name: "late", apiVersion: 1, create: () => ({
          score(backend, { request }) {
            if (request.path === "/late") setTimeout(() => { throw Object.create(null); }, 0);
            return backend.inFlight;
          },
        }) };`,
      },
    });
    expect((await fetch(`${front.url}/late`)).status).toBe(200);
    await front.until("the error is told", () => front.log().includes("nobody handles"));
    expect((await fetch(front.url)).status).toBe(200);
    expect(await front.workers()).toMatchObject([{ restarts: 0, state: "serving" }]);
  });

  test("that writes to a response's header reader reaches no other pool's strategy", async () => {
    const [first, second] = backends(2);
    const front = await proxy({
      config: {
        pools: {
          poison: { backends: [first?.url ?? ""], strategy: "./poison.ts" },
          web: { backends: [second?.url ?? ""], strategy: "./reads.ts" },
        },
        routes: [{ path: "/poison", pool: "poison" }, { pool: "web" }],
        workers: 1,
      },
      files: {
        "poison.ts": `export default { name: "poison", apiVersion: 1, create: () => ({
          score: () => 0,
          onResponse({ request }, { headers }) {
            if (request.path !== "/poison") return;
            Object.getPrototypeOf(headers).get = () => { throw new Error("not mine"); };
          },
        }) };`,
        "reads.ts": `export default { name: "reads", apiVersion: 1, create: () => ({
          score: () => 0,
          onResponse(_, { headers }) { headers.get("content-type"); },
        }) };`,
      },
    });
    for (const path of ["/poison", "/"]) {
      const response = await fetch(front.url + path);
      expect(response.status).toBe(200);
      await response.text();
    }
    const [poison, web] = await front.pools();
    expect(poison?.strategy).toMatchObject({ faults: 1 });
    expect(web?.strategy).toMatchObject({ faults: 0 });
  });
});
