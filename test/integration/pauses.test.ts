/**
 * The whole program, its master alone, or a worker alone stands still for ten seconds (SIGSTOP, a laptop's lid, a
 * virtual machine that is moved) and goes on: no backend is blamed for it, no worker replaced, no connection ended.
 */
import { expect, test } from "bun:test";
import type { FakeHandler } from "../_support/fake-backend.ts";
import { useHarness } from "../_support/harness.ts";
import { load } from "../_support/load.ts";
import { isQuiet, type Proxy } from "../_support/proxy.ts";
import { connectRaw, type RawConnection } from "../_support/raw-client.ts";

const harness = useHarness();

const PAUSE_MS = 10_000;
const BIG = 8 * 1024 * 1024;
/** What is waited for of a client or a backend, and of a probe: half of it, which is far more than a busy machine needs. */
const LIMIT = "5s";
const STRICT = {
  health: { path: "/", interval: "200ms", timeout: LIMIT, fall: 1 },
  ejection: { failures: 1 },
  retry: false,
} as const;

type Who = (proxy: Proxy) => Promise<number[]>;

const answer: FakeHandler = async (request, wire) => {
  if (request.target === "/big") return { body: "x".repeat(BIG) };
  if (request.target === "/late") return { delayMs: PAUSE_MS + 3000, body: "late" };
  if (request.target !== "/drip") return { delayMs: 20, body: "ok" };
  wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  const dripping = setInterval(() => wire.write("1\r\nx\r\n"), 100);
  void Bun.sleep(PAUSE_MS + 3000).then(() => {
    clearInterval(dripping);
    wire.write("0\r\n\r\n");
  });
  return undefined;
};

/** `held`: requests that wait for those that stand still, and would else run out of time. */
async function expectNothingBlamed(who: Who, held: number): Promise<void> {
  const backends = Array.from({ length: 4 }, () => harness.backend(answer).url);
  const proxy = await harness.proxy({
    config: {
      workers: 2,
      pools: {
        web: {
          ...STRICT,
          backends,
          timeouts: { connect: LIMIT, firstByte: LIMIT, idle: LIMIT },
        },
        hasty: { ...STRICT, backends, timeouts: { request: LIMIT } },
      },
      routes: [
        { path: "/late", pool: "hasty" },
        { path: "/*", pool: "web" },
      ],
    },
  });
  const before = await proxy.workers();
  const pids = await who(proxy);
  const ask = async (path: string, count: number, keep = true): Promise<RawConnection[]> => {
    const all = Array.from({ length: count }, () => connectRaw(proxy.port, { keep }));
    const connections = await Promise.all(all);
    for (const each of connections) each.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    return connections;
  };
  const late = await ask("/late", held);
  const dripping = await ask("/drip", 8);
  await Promise.all(dripping.map((each) => each.until((text) => text.includes("\r\nx\r\n"))));
  const readers = await ask("/big", held, false);
  await Promise.all(readers.map((each) => each.until(() => each.receivedBytes() > 0)));
  for (const each of readers) each.pause();
  const over = Promise.withResolvers<void>();
  const loading = load(proxy.url, 8, over.promise);
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  await Bun.sleep(PAUSE_MS);
  // Those that stand still do not see yet that their clients read on.
  for (const each of readers) each.resume();
  for (const pid of pids) process.kill(pid, "SIGCONT");
  await Promise.all(readers.map((each) => each.until(() => each.receivedBytes() > BIG)));
  for (const each of dripping) await each.until((text) => text.endsWith("0\r\n\r\n"));
  // Their time was up.
  for (const each of late) await each.until((text) => text.startsWith("HTTP/1.1 504 "));
  over.resolve();
  expect([...(await loading).keys()]).toEqual(["200"]);
  for (const { backends: views } of await proxy.until("nothing in flight", isQuiet)) {
    for (const view of views) {
      expect(view).toMatchObject({ health: "healthy", ejectedUntil: null, failures: 0 });
    }
  }
  expect((await proxy.workers()).map(({ pid }) => pid)).toEqual(before.map(({ pid }) => pid));
  expect(proxy.log()).not.toContain("backend is down");
  expect(proxy.log()).not.toContain("backend ejected");
}

const workersOf: Who = async (proxy) => (await proxy.workers()).map(({ pid }) => pid);

// At the same time: each of them waits most of it.
test("ten seconds of standing still are nobody's failure", async () => {
  await Promise.all([
    expectNothingBlamed(async (proxy) => [proxy.pid, ...(await workersOf(proxy))], 8),
    expectNothingBlamed(async (proxy) => [proxy.pid], 0),
    expectNothingBlamed(async (proxy) => (await workersOf(proxy)).slice(0, 1), 0),
  ]);
}, 60_000);
