/** A strategy's file that changes again and again under load. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { useHarness } from "../_support/harness.ts";
import { load } from "../_support/load.ts";
import { isQuiet } from "../_support/proxy.ts";

const { backend, proxy } = useHarness();

/** So many, where a machine does them in time; a busy one does what it can, and these at least. */
const SWAPS = { most: 100, least: 10, withinMs: 15_000 };

/** One that has state, and that faults when it is told of the end of an attempt that another instance began. */
function version(number: number): string {
  return `export default { name: "counting", apiVersion: 1, create({ previous }) {
    let ended = previous ?? 0;
    const running = new Set();
    return { score: (backend) => backend.inFlight / backend.weight + ${number},
      onStart({ id }) { running.add(id); },
      onEnd({ id }) { if (!running.delete(id)) throw new Error("not mine"); ended++; },
      snapshot: () => ended,
      dispose() { if (running.size > 0) throw new Error("too early"); } }; } };`;
}

test(`up to ${SWAPS.most} swaps under load lose no request`, async () => {
  const servers = [backend(), backend(), backend()];
  const front = await proxy({
    config: {
      pools: { web: { backends: servers.map(({ url }) => url), strategy: "./mine.ts" } },
      workers: 2,
    },
    files: { "mine.ts": version(0) },
  });
  const versions = new Set<string>();
  const over = Promise.withResolvers<void>();
  const loading = load(front.url, 4, over.promise);
  const startedAt = performance.now();
  const goesOn = (swaps: number): boolean =>
    swaps < SWAPS.least || (swaps < SWAPS.most && performance.now() - startedAt < SWAPS.withinMs);
  let swaps = 0;
  while (goesOn(swaps)) {
    swaps++;
    writeFileSync(join(front.folder, "mine.ts"), version(swaps));
    expect(await front.reload()).toMatchObject({ ok: true, problems: [] });
    const [pool] = await front.pools();
    expect(pool?.strategy).toMatchObject({ faults: 0, quarantined: false });
    versions.add(pool?.strategy.version ?? "");
  }
  over.resolve();
  expect([...(await loading).keys()]).toEqual(["200"]);
  expect(versions.size).toBe(swaps);
  // There and back, with the load that was there before.
  const more = Promise.withResolvers<void>();
  const rolling = load(front.url, 4, more.promise);
  expect((await front.run("plugin", "rollback", "web")).exitCode).toBe(0);
  expect(await front.reload()).toMatchObject({ ok: true });
  more.resolve();
  expect([...(await rolling).keys()]).toEqual(["200"]);
  await front.until("nothing in flight", isQuiet);
  expect(await front.workers()).toMatchObject([{ restarts: 0 }, { restarts: 0 }]);
}, 120_000);
