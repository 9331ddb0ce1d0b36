/** A backend that fails quickly looks idle to least connections: ejection keeps the traffic away from it. */
import { describe, expect, test } from "bun:test";
import { useHarness } from "../_support/harness.ts";
import { load } from "../_support/load.ts";

const { backend, proxy } = useHarness();

describe("a backend that fails at once", () => {
  test("gets under 5 % of the traffic with the defaults", async () => {
    const bad = backend(() => ({ status: 500, body: "no" }));
    const good = [
      backend(() => ({ delayMs: 5, body: "ok" })),
      backend(() => ({ delayMs: 5, body: "ok" })),
    ];
    const front = await proxy({
      config: { pools: { web: { backends: [bad.url, ...good.map(({ url }) => url)] } } },
    });
    const enough = Promise.all(good.map((each) => each.seen(500)));
    const endings = await load(front.url, 16, enough);
    const total = [...endings.values()].reduce((sum, count) => sum + count, 0);
    expect(total).toBeGreaterThan(1000);
    expect(bad.requests.length / total).toBeLessThan(0.05);
    const [pool] = await front.pools();
    expect(pool?.backends[0]?.ejectedUntil).not.toBeNull();
    expect(pool?.backends[0]?.failures).toBeGreaterThanOrEqual(5);
  });

  test("would get most of it without ejection, which is why ejection is on by default", async () => {
    const bad = backend(() => ({ status: 500, body: "no" }));
    // Long beside what the machine itself takes for a request, also when it is busy.
    const good = [
      backend(() => ({ delayMs: 50, body: "ok" })),
      backend(() => ({ delayMs: 50, body: "ok" })),
    ];
    const front = await proxy({
      config: {
        pools: { web: { backends: [bad.url, ...good.map(({ url }) => url)], ejection: false } },
      },
    });
    await load(front.url, 16, Promise.all(good.map((each) => each.seen(100))));
    expect(bad.requests.length).toBeGreaterThan(200);
  });

  test("comes back through a trial request once it is well", async () => {
    const bad = backend(() => ({ status: 500, body: "no" }));
    const good = backend();
    const front = await proxy({
      config: {
        pools: {
          web: { backends: [bad.url, good.url], health: false, ejection: { base: "300ms" } },
        },
      },
    });
    const story = (async () => {
      await front.until("the ejection", ([pool]) => pool?.backends[0]?.ejectedUntil !== null);
      bad.handler = () => "ok";
      const before = bad.requests.length;
      await bad.seen(before + 100);
    })();
    const endings = await load(front.url, 8, story);
    expect(endings.get("200")).toBeGreaterThan(100);
    await front.until("its return", ([pool]) => pool?.backends[0]?.ejectedUntil === null);
  });
});
