/**
 * Everything that can go wrong, at once and at random (cases I01, I03, I05, J01 and J03): whatever happens, every request
 * ends in a declared way, a whole answer is the right one, no POST is repeated, each attempt that starts ends once, and
 * the books balance. For longer, or with other requests:
 *
 *     bun run chaos --seconds 600 --seed 7
 */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRandom } from "../../src/strategy/random.ts";
import { Chaos, CLIENTS, requestsOf, startOnLowPort } from "../_support/chaos-run.ts";
import { type ChaosBooks, chaosStrategy, readChaosBooks } from "../_support/chaos-strategy.ts";
import { watchCounts } from "../_support/chaos-watch.ts";
import type { FakeBackend } from "../_support/fake-backend.ts";
import { useHarness } from "../_support/harness.ts";
import type { Proxy } from "../_support/proxy.ts";

const SECONDS = Number(process.env["CHAOS_SECONDS"] ?? 10);
const SEED = Number(process.env["CHAOS_SEED"] ?? 20_261_122);
const BACKENDS = 4;

const harness = useHarness();

test(
  "whatever goes wrong, each request ends in a declared way and every count comes back to 0",
  async () => {
    console.log(`chaos: seed ${SEED}, ${SECONDS} s`);
    const chaos = new Chaos(createRandom(SEED), performance.now() + SECONDS * 1000);
    const books = mkdtempSync(join(tmpdir(), "leastwise-chaos-"));
    const backends = Array.from({ length: BACKENDS }, () =>
      startOnLowPort((request) => chaos.answer(request)),
    );
    try {
      const proxy = await harness.proxy({
        config: {
          workers: 2,
          pools: {
            web: {
              backends: backends.map((each) => each.url),
              strategy: "./moody.ts",
              // The backends are in this process: however busy it is, only one that is away fails a probe.
              health: { interval: "200ms", timeout: "10s", fall: 1, rise: 1 },
              ejection: { failures: 3, base: "200ms" },
              retry: { on: ["connect", "reset", "503"] },
              timeouts: { firstByte: "2s" },
            },
          },
        },
        files: { "moody.ts": chaosStrategy(books) },
      });
      const watch = watchCounts(proxy, CLIENTS);
      while (!chaos.timeIsUp) await chaos.batch(proxy, backends);
      const { samples, findings } = await watch.stop();
      expect(findings).toEqual([]);
      expect(samples).toBeGreaterThan(10);
      console.log(`chaos: ${chaos.sent} requests, ${JSON.stringify(chaos.ends)}`);
      // Else this was no chaos: each way must have been seen.
      for (const end of ["complete", "broken", "rejected", "timeout", "aborted"] as const) {
        expect([end, chaos.ends[end] ?? 0]).not.toEqual([end, 0]);
      }
      await expectBalancedBooks(proxy, books);
      await expectNothingHeld(proxy, backends);
      const [pool] = await proxy.pools();
      expect(pool?.strategy.faults).toBeGreaterThan(0);
      expect(pool?.strategy.quarantined).toBe(false);
      expect(proxy.log()).not.toContain("internal_error");
      expect(proxy.log()).not.toContain("the proxy failed");
      expect((await proxy.workers()).map((worker) => worker.restarts)).toEqual([0, 0]);
    } finally {
      for (const each of backends) each.stop();
      rmSync(books, { recursive: true, force: true });
    }
  },
  (SECONDS + 120) * 1000,
);

/** What the counters say was started is what the strategy saw start, and it saw all of that end, by a cause. */
async function expectBalancedBooks(proxy: Proxy, folder: string): Promise<void> {
  const [pool] = await proxy.pools();
  const pids = (await proxy.workers()).map(({ pid }) => pid);
  const { started, ended, wrong } = await closedBooks(folder, pids, requestsOf(pool ? [pool] : []));
  console.log(`chaos: ${started} attempts, ${JSON.stringify(ended)}`);
  expect(wrong).toEqual([]);
  expect(started).toBe(requestsOf(pool ? [pool] : []));
  expect(Object.values(ended).reduce((sum, count) => sum + count, 0)).toBe(started);
  const { ok = 0, client_gone: gone = 0, reset = 0, ...others } = ended;
  expect([ok, gone, reset].every((count) => count > 0)).toBe(true);
  // A reset of a connection that had lain idle is nobody's failure; a 503 is one, also when its client goes away.
  const failures = pool?.backends.reduce((sum, backend) => sum + backend.failures, 0) ?? -1;
  const blamed = Object.values(others).reduce((sum, count) => sum + count, 0);
  expect(failures).toBeGreaterThanOrEqual(blamed);
  expect(failures).toBeLessThanOrEqual(blamed + reset + gone);
}

/** A worker's strategy hears of an end after everybody can see that nothing is in flight. */
async function closedBooks(
  folder: string,
  pids: readonly number[],
  attempts: number,
): Promise<ChaosBooks> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const books = readChaosBooks(folder, pids);
    const ended = Object.values(books.ended).reduce((sum, count) => sum + count, 0);
    if (ended === attempts || performance.now() > deadline) return books;
    await Bun.sleep(10);
  }
}

/** No request is under way, and every connection that the proxy counts is idle and really there. */
async function expectNothingHeld(proxy: Proxy, backends: readonly FakeBackend[]): Promise<void> {
  await proxy.until("idle connections alone, as many as the backends have", ([pool]) =>
    backends.every(({ url, openConnections }) => {
      const view = pool?.backends.find((each) => each.url === url);
      return (
        view?.inFlight === 0 &&
        view.connections.open === view.connections.idle &&
        view.connections.open === openConnections
      );
    }),
  );
  expect((await proxy.workers()).map(({ pendingRequests }) => pendingRequests)).toEqual([0, 0]);
}
