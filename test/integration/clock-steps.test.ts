/**
 * The wall clock is set back by an hour, and forward again, while requests run (a wrong NTP server, a virtual machine
 * that was restored). Debian's libfaketime stands in for it; without that library the test is skipped.
 */
import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { accessLinesOf } from "../_support/access-log.ts";
import { useHarness } from "../_support/harness.ts";
import { load } from "../_support/load.ts";
import { isQuiet } from "../_support/proxy.ts";

const harness = useHarness();

const HOUR_MS = 3_600_000;
const LIBRARY = [
  "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
  "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
].find(existsSync);

// The clock is set by libfaketime, for one process: where it is not installed nothing else can do that.
test.skipIf(LIBRARY === undefined)(
  "a clock that is set back an hour, and forward again: no timeout, no ejection, nobody down",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "leastwise-test-"));
    const clock = join(folder, "clock");
    const lines = join(folder, "access.log");
    const set = (offset: string): void => {
      writeFileSync(`${clock}.new`, offset);
      renameSync(`${clock}.new`, clock);
    };
    set("+0");
    try {
      const backends = Array.from({ length: 3 }, () =>
        harness.backend(() => ({ delayMs: 20, body: "ok" })),
      );
      const proxy = await harness.proxy({
        env: {
          LD_PRELOAD: LIBRARY ?? "",
          FAKETIME_TIMESTAMP_FILE: clock,
          FAKETIME_NO_CACHE: "1",
          // Setting the clock of a machine leaves its monotonic one alone.
          FAKETIME_DONT_FAKE_MONOTONIC: "1",
        },
        config: {
          workers: 2,
          accessLog: { log: "all", file: lines },
          pools: {
            web: {
              backends: backends.map(({ url }) => url),
              // Long beside what a busy machine takes for a request, and nothing beside an hour.
              health: { path: "/", interval: "100ms", timeout: "10s", fall: 1 },
              ejection: { failures: 1 },
              retry: false,
              timeouts: { connect: "10s", firstByte: "10s", idle: "10s", request: "20s" },
            },
          },
        },
      });
      const before = await proxy.workers();
      const over = Promise.withResolvers<void>();
      const loading = load(proxy.url, 8, over.promise);
      const served = async (count: number): Promise<void> => {
        const from = backends.reduce((sum, { requests }) => sum + requests.length, 0);
        while (backends.reduce((sum, { requests }) => sum + requests.length, 0) < from + count) {
          await Bun.sleep(10);
        }
      };
      await served(300);
      set("-3600");
      await served(600);
      set("+0");
      await served(600);
      over.resolve();
      expect([...(await loading).keys()]).toEqual(["200"]);
      const pools = await proxy.until("nothing in flight", isQuiet);
      for (const backend of pools.flatMap((pool) => pool.backends)) {
        expect(backend).toMatchObject({ health: "healthy", ejectedUntil: null, failures: 0 });
      }
      expect((await proxy.workers()).map(({ pid }) => pid)).toEqual(before.map(({ pid }) => pid));
      expect(proxy.log()).not.toContain("backend is down");
      await proxy.stop();
      // Else the library did nothing: some lines are an hour older than others.
      const times = (await accessLinesOf(lines, 1000)).map(({ time }) => Date.parse(String(time)));
      expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(HOUR_MS * 0.99);
      const durations = (await accessLinesOf(lines, 1000)).map((line) =>
        Number(line["durationMs"]),
      );
      expect(durations.every((ms) => ms >= 0 && ms < 10_000)).toBe(true);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
