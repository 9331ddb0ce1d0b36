/** Workers that the kernel gives little: where control groups can be made, which takes a machine of one's own. */
import { afterAll, afterEach, describe, expect, test } from "bun:test";
import type { UserConfig } from "../../src/index.ts";
import { type Cgroup, limitCpu, limitMemory } from "../_support/cgroup.ts";
import { useHarness } from "../_support/harness.ts";
import { isQuiet, type Proxy, type WorkerView } from "../_support/proxy.ts";
import { connectRaw, type RawConnection } from "../_support/raw-client.ts";
import { type SteadyClients, startClients, tellWorker } from "../_support/steady-clients.ts";

const { backend, proxy } = useHarness();

let clients: SteadyClients | null = null;

afterEach(() => clients?.stop());

const memory = limitMemory(384 * 2 ** 20);
const cpu = limitCpu(0.05);

afterAll(async () => {
  await memory?.remove();
  await cpu?.remove();
});

const LEAKS = `const keep = [];
  export default { name: "leaks", apiVersion: 1, create: () => ({
    score(backend, { request }) {
      if (request.path === "/bad") for (;;) keep.push(new Uint8Array(2 ** 20).fill(1));
      return backend.inFlight;
    } }) };`;

// Limits are set by cgroups, which only root may make, and not in every container.
describe.skipIf(memory === null)("workers that may take less memory than they are told to", () => {
  test("are ended by the kernel: such a one is named, counted and replaced, the other serves on", async () => {
    const group = memory as Cgroup;
    const front = await start(LEAKS, { watchdog: false, workerMemory: "16GiB" });
    const before = await serving(front);
    const victim = before[0]?.pid ?? 0;
    group.add(victim);
    clients = startClients(front.port, 8, 20);
    while (clients.answers.length < 100) await Bun.sleep(5);
    const connection = await connectedTo(front, victim);
    connection.send("GET /bad HTTP/1.1\r\nHost: a\r\n\r\n");
    while (!front.log().includes('"message":"worker replaced"')) await Bun.sleep(5);
    const after = await serving(front);
    await clients.stop();
    const { losses, answers } = clients;
    expect(losses.filter(({ worker }) => worker !== null && worker !== victim)).toEqual([]);
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(after.reduce((sum, { restarts }) => sum + restarts, 0)).toBe(1);
    const log = front.log();
    expect(log).toContain('"reason":"signal SIGKILL"');
    expect(log).toContain('"message":"a worker ended in a strategy\'s code"');
    expect(log).toContain('"strategy":"leaks"');
    expect(log).not.toContain("the watchdog ends");
    await front.until("nothing in flight", isQuiet);
  }, 60_000);
});

// The same as above.
describe.skipIf(cpu === null)("workers with a twentieth of a processor between them", () => {
  test("are slow, and the watchdog ends none", async () => {
    const group = cpu as Cgroup;
    const front = await start(LEAKS, { watchdog: "500ms" });
    const before = await serving(front);
    for (const { pid } of before) group.add(pid);
    clients = startClients(front.port, 16, 10);
    // Many times what the watchdog allows.
    await Bun.sleep(5000);
    await clients.stop();
    expect(clients.losses).toEqual([]);
    expect(clients.answers.length).toBeGreaterThan(0);
    expect((await serving(front)).map(({ pid }) => pid)).toEqual(before.map(({ pid }) => pid));
    expect(front.log()).not.toContain("the watchdog ends");
  }, 60_000);
});

function start(source: string, config: Partial<UserConfig>): Promise<Proxy> {
  const { url } = backend(tellWorker);
  return proxy({
    config: { ...config, pools: { web: { backends: [url], strategy: "./it.ts" } }, workers: 2 },
    files: { "it.ts": source },
  });
}

/** A connection that this worker has accepted. */
async function connectedTo(front: Proxy, pid: number): Promise<RawConnection> {
  for (;;) {
    const connection = await connectRaw(front.port);
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const text = await connection.until((all) => all.includes("\r\n\r\nok"));
    if (Number(/x-worker: (\d+)/i.exec(text)?.[1]) === pid) return connection;
    connection.end();
  }
}

/** Both of them. */
async function serving(front: Proxy): Promise<WorkerView[]> {
  for (;;) {
    const workers = await front.workers();
    const all = workers.filter(({ state }) => state === "serving");
    if (all.length === 2 && workers.length === 2) return all;
    await Bun.sleep(10);
  }
}
