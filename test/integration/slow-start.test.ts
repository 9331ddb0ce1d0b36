/** Slow start through the compiled binary: the same weights in all workers, also in those that start later. */
import { expect, test } from "bun:test";
import { useHarness } from "../_support/harness.ts";
import type { Proxy } from "../_support/proxy.ts";

const { backend, proxy } = useHarness();

/** How often each answered, of so many requests over connections of their own. */
async function shares(front: Proxy, requests: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < requests; i++) {
    const answer = await fetch(front.url, { headers: { connection: "close" } });
    const name = await answer.text();
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

function effective(front: Proxy, index: number): Promise<number | undefined> {
  return front.pools().then(([pool]) => pool?.backends[index]?.effectiveWeight);
}

/** `a` and `b`, and `c` that a reload may bring. The window is so long that it lasts for the whole test. */
function three(strategy: string, window: string) {
  const backends = ["a", "b", "c"].map((name) => ({ url: backend(() => name).url, id: name }));
  const config = (count: number) => ({
    pools: { web: { backends: backends.slice(0, count), strategy, slowStart: { window } } },
    workers: 2,
  });
  return { config };
}

for (const strategy of ["round-robin", "least-connections"]) {
  test(`a backend that a reload brings has a small share of ${strategy} in every worker`, async () => {
    const { config } = three(strategy, "1h");
    const front = await proxy({ config: config(2) });
    await front.until("probed", ([pool]) => !!pool?.backends.every((b) => b.health === "healthy"));
    // Nobody was new at the start.
    expect((await front.pools())[0]?.backends.map((each) => each.effectiveWeight)).toEqual([1, 1]);
    front.configure(config(3));
    expect(await front.reload()).toMatchObject({ ok: true });
    const counts = await shares(front, 105);
    // 0.1 of 2.1, which is 5, and a turn or two in each worker; without a slow start 35.
    expect(counts["c"] ?? 0).toBeLessThanOrEqual(12);
    expect(counts["a"]).toBeGreaterThan(35);
    expect(await effective(front, 2)).toBe(0.1);
    expect((await front.run("status")).stdout).toMatch(/^c +\w+ +1 \(10%\) /m);
    for (const { pid } of await front.workers()) process.kill(pid, "SIGKILL");
    while ((front.log().match(/worker replaced/g) ?? []).length < 2) await Bun.sleep(5);
    expect((await shares(front, 105))["c"] ?? 0).toBeLessThanOrEqual(12);
    expect(await effective(front, 2)).toBe(0.1);
  });
}

test("a backend that was ejected comes back slowly, and in the end with all of its weight", async () => {
  let failing = true;
  const a = backend(() => (failing ? { status: 500 } : "a"));
  const b = backend(() => "b");
  const web = {
    backends: [a.url, b.url],
    strategy: "round-robin",
    health: false,
    ejection: { failures: 1, base: "100ms" },
    slowStart: { window: "2s", minWeight: 0.01 },
  } as const;
  const front = await proxy({ config: { pools: { web }, workers: 2 } });
  let ejected: Awaited<ReturnType<Proxy["pools"]>>[0]["backends"][0] | undefined;
  // It may be back before anybody looks: then it fails again.
  while ((ejected?.ejectedUntil ?? null) === null) {
    await shares(front, 2);
    ejected = (await front.pools())[0]?.backends[0];
  }
  // Slowed already, so that it cannot come back with all of its weight; the first second counts as one.
  expect(ejected?.effectiveWeight).toBe(0.5);
  failing = false;
  const seen: number[] = [];
  for (;;) {
    await shares(front, 4);
    const part = (await effective(front, 0)) ?? 0;
    seen.push(part);
    if (part === 1) break;
  }
  expect(seen).toEqual(seen.toSorted((one, two) => one - two));
  const counts = await shares(front, 100);
  expect(counts["a"]).toBeGreaterThanOrEqual(45);
});
