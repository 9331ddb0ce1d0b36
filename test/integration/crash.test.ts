/** Processes that are killed under load, with the compiled binary. */
import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isAlive } from "../_support/alive.ts";
import { crowding } from "../_support/crowding.ts";
import { useHarness } from "../_support/harness.ts";
import { isQuiet, type Proxy, type WorkerView } from "../_support/proxy.ts";
import { connectRaw } from "../_support/raw-client.ts";
import { type SteadyClients, startClients, tellWorker } from "../_support/steady-clients.ts";

const { backend, proxy } = useHarness();

const CLIENTS = 16;

let clients: SteadyClients | null = null;

afterEach(() => clients?.stop());

describe("a worker that is killed under load", () => {
  test("costs what it had, and the others serve on; each is replaced within 2 s", async () => {
    const answering = backend(async (...args) => {
      // So that at every moment there is something in flight.
      await Bun.sleep(5);
      return tellWorker(...args);
    });
    const startedAtMs = performance.now();
    const front = await proxy({
      config: { pools: { web: { backends: [answering.url] } }, workers: 3 },
    });
    // A machine on which everything takes long to start may take as long for this.
    const startMs = performance.now() - startedAtMs;
    const victims: number[] = [];
    clients = startClients(front.port, CLIENTS, 10);
    for (let place = 0; place < 3; place++) {
      await enough(clients, 300);
      const pid = (await whole(front, 3))[place]?.pid ?? 0;
      process.kill(pid, "SIGKILL");
      const killedAtMs = performance.now();
      victims.push(pid);
      let workers: readonly WorkerView[];
      do workers = await whole(front, 3);
      while (workers[place]?.pid === pid);
      expect(performance.now() - killedAtMs).toBeLessThan(Math.max(2000 * crowding(), 4 * startMs));
    }
    await enough(clients, 300);
    await clients.stop();
    const { answers, losses } = clients;
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    // Null: it had connected to the worker that was killed, which had not answered yet.
    expect(losses.filter(({ worker }) => worker !== null && !victims.includes(worker))).toEqual([]);
    expect(losses.length).toBeLessThanOrEqual(3 * CLIENTS);
    await front.until("nothing in flight", isQuiet);
    const [pool] = await front.pools();
    expect(pool?.strategy.quarantined).toBe(false);
  });

  test("and dies again when it starts is replaced ever later, loudly, and serves without the strategy", async () => {
    const { url } = backend(tellWorker);
    const front = await proxy({
      config: { pools: { web: { backends: [url], strategy: "./mine.ts" } }, workers: 2 },
      files: {
        "mine.ts": `import { existsSync } from "node:fs";
          if (existsSync("broken")) process.exit(3);
          export default { name: "mine", apiVersion: 1, create: () => ({ score: (b) => b.inFlight }) };`,
      },
    });
    clients = startClients(front.port, CLIENTS, 10);
    const before = await whole(front, 2);
    writeFileSync(join(front.folder, "broken"), "");
    process.kill(before[0]?.pid ?? 0, "SIGKILL");
    await front.until("the quarantine", ([pool]) => pool?.strategy.quarantined === true);
    const after = await whole(front, 2);
    await clients.stop();
    expect(after.map(({ restarts }) => restarts)).toEqual([3, 0]);
    expect(after[1]?.pid).toBe(before[1]?.pid as number);
    const ends = front
      .log()
      .split("\n")
      .filter((line) => line.includes("worker ended, replacing it"));
    expect(ends.map((line) => JSON.parse(line))).toMatchObject([
      { level: "error", reason: "signal SIGKILL", waitMs: 0 },
      { level: "error", reason: "exit code 3", waitMs: 100 },
      { level: "error", reason: "exit code 3", waitMs: 500 },
    ]);
    expect(front.log()).toContain('"call":"import"');
  });
});

describe("a master that is killed under load", () => {
  test("takes its workers along within a second, and a new one finds nothing stale", async () => {
    const answering = backend(tellWorker);
    const pools = { web: { backends: [answering.url] } };
    const front = await proxy({ config: { pools, workers: 2 } });
    const pids = (await whole(front, 2)).map(({ pid }) => pid);
    const idle = await connectRaw(front.port);
    idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await idle.until((text) => text.endsWith("ok"));
    clients = startClients(front.port, CLIENTS, 10);
    await enough(clients, 300);
    front.signal("SIGKILL");
    const killedAtMs = performance.now();
    await front.exited;
    await idle.closed;
    while (pids.some(isAlive)) await Bun.sleep(1);
    expect(performance.now() - killedAtMs).toBeLessThan(1000 * crowding());
    await expect(fetch(front.url)).rejects.toThrow();
    const shared = existsSync("/dev/shm") ? readdirSync("/dev/shm") : [];
    expect(shared.filter((name) => name.startsWith(`leastwise-${front.pid}-`))).toEqual([]);

    const [listen, admin] = [`127.0.0.1:${front.port}`, front.admin.replace("http://", "")];
    const next = await proxy({
      config: { pools, workers: 2, listen: [{ address: listen }], admin: { address: admin } },
    });
    // The clients were never told: they go on as they connect again.
    await enough(clients, 300);
    await clients.stop();
    const [pool] = await next.until("nothing in flight", isQuiet);
    const counted = pool?.backends[0]?.requests ?? 0;
    expect(counted).toBeLessThanOrEqual(answering.requests.length);
    expect(counted).toBeGreaterThanOrEqual(300);
  });
});

async function enough({ answers }: SteadyClients, more: number): Promise<void> {
  const wanted = answers.length + more;
  while (answers.length < wanted) await Bun.sleep(5);
}

/** In the order of their places, when all of them serve. */
async function whole(front: Proxy, count: number): Promise<readonly WorkerView[]> {
  for (;;) {
    const workers = await front.workers();
    const serving = workers.filter(({ pid, state }) => state === "serving" && isAlive(pid));
    if (serving.length === count) return serving;
    await Bun.sleep(5);
  }
}
