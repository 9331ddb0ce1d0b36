/** One worker, driven by its master's messages: what stays and what goes when plans follow each other. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundleModule } from "../../src/config/bundle.ts";
import type { PoolConfig, SocketAddress } from "../../src/config/config.ts";
import type { Backend } from "../../src/plugin.ts";
import type { Counters } from "../../src/pool/counters.ts";
import { createSharedMemory, type SharedMemory } from "../../src/pool/shared-memory.ts";
import { createClock } from "../../src/process/clock.ts";
import type { FromWorker, Plan, PlannedStrategy } from "../../src/process/messages.ts";
import { probeAddress } from "../../src/process/ports.ts";
import { RowTable } from "../../src/process/row-table.ts";
import { Worker } from "../../src/process/worker.ts";
import { layOutWorkerMemory } from "../../src/process/worker-memory.ts";
import { type FakeBackend, startFakeBackend } from "../_support/fake-backend.ts";
import { backendConfig, poolConfig } from "../_support/pools.ts";
import { connectRaw } from "../_support/raw-client.ts";
import { RecordedLog } from "../_support/recorded-log.ts";
import { noTls, service, telemetryConfig } from "../_support/telemetry-config.ts";

const shape = { rows: 8, workers: 1 };
const now = createClock();

/** What the strategy below saw, in this process. */
interface Seen {
  instances: {
    previous: unknown;
    backends: readonly Backend[];
    weights: readonly number[];
    ends: number;
    disposed: boolean;
  }[];
  health: string[];
}

const STRATEGY = `
const seen = (globalThis.seenByStrategy ??= { instances: [], health: [] });
export default {
  name: "watcher",
  apiVersion: 1,
  parseOptions(raw) {
    if (raw === "bad") throw new Error("these options are bad");
    return raw;
  },
  create(env) {
    const instance = { previous: env.previous, backends: [], weights: [], ends: 0, disposed: false };
    const number = seen.instances.push(instance);
    return {
      score(backend) {
        if (env.options === "faulty") throw new Error("on purpose");
        return backend.inFlight;
      },
      onPoolChange(backends) {
        instance.backends = backends;
        instance.weights = backends.map(({ weight }) => weight);
      },
      onHealthChange(backend, from, to) { seen.health.push(number + ": " + backend.id + " " + to); },
      onEnd() { instance.ends++; },
      snapshot: () => "left by " + number,
      dispose() { instance.disposed = true; },
    };
  },
};
`;

let folder: string;
let memory: SharedMemory;
let counters: Counters;
let rows: RowTable;
let worker: Worker;
let answers: FromWorker[];
let strategy: PlannedStrategy;
let running: FakeBackend[];
let generation: number;
let given: SocketAddress[];

beforeEach(async () => {
  Reflect.deleteProperty(globalThis, "seenByStrategy");
  folder = mkdtempSync(join(tmpdir(), "leastwise-test-"));
  const file = join(folder, "watcher.ts");
  // Each test has its own: a module's top level runs only once.
  writeFileSync(file, `${STRATEGY}// ${folder}\nexport const own = ${JSON.stringify(folder)};`);
  const module = { kind: "file", source: file, ...(await bundleModule(file, folder)) } as const;
  strategy = { module, description: { name: "watcher", version: module.version, source: file } };
  const layout = layOutWorkerMemory(shape);
  memory = createSharedMemory(layout.words * Int32Array.BYTES_PER_ELEMENT);
  counters = layout.counters(memory.view);
  rows = new RowTable(counters, () => {});
  answers = [];
  running = [];
  generation = 0;
  given = [];
  worker = new Worker({
    setup: {
      index: 0,
      column: 0,
      succeeds: false,
      counters: { handle: memory.handle, shape, censusKey: "key" },
      seed: 1,
      key: "key",
      instance: "a1b2c3d4",
      telemetry: { config: telemetryConfig(), service, tls: noTls },
    },
    tell: (message) => void answers.push(message),
    tracing: null,
    knownMethods: new Set(["GET"]),
    now,
    log: new RecordedLog(),
  });
});

afterEach(async () => {
  await worker.stop({ delayMs: 0, graceMs: 0 });
  for (const each of running) each.stop();
  memory.close();
  rmSync(folder, { recursive: true, force: true });
});

function seen(): Seen {
  return Reflect.get(globalThis, "seenByStrategy") as Seen;
}

function backend(...how: Parameters<typeof startFakeBackend>): FakeBackend {
  const started = startFakeBackend(...how);
  running.push(started);
  return started;
}

function backendAt(id: string, { url, address }: FakeBackend, change = {}) {
  return backendConfig(id, { url, address, ...change });
}

/** None that this test had before. */
async function freeAddress(): Promise<SocketAddress> {
  const address = await probeAddress({ hostname: "127.0.0.1", port: 0 }, "the test", given);
  given.push(address);
  return address;
}

function makePlan(listen: readonly SocketAddress[], pool: PoolConfig): Plan {
  const config = {
    listen: listen.map((address) => ({ address })),
    pools: [pool],
    routes: [],
    trustedProxies: [],
    clientConnections: { max: null, maxPerAddress: null },
    accessLog: null,
    requestId: true,
  };
  const assigned = rows.assign([pool]);
  generation++;
  return { generation, config, rows: assigned, strategies: { [pool.name]: strategy } };
}

async function prepare(plan: Plan): Promise<FromWorker | undefined> {
  const names = Object.keys(plan.strategies);
  const conditions = Object.fromEntries(
    names.map((pool, number) => [pool, { number, sealed: false }]),
  );
  await worker.receive({ type: "prepare", plan, inForce: false, conditions });
  return answers.at(-1);
}

async function commit(plan: Plan): Promise<FromWorker | undefined> {
  await worker.receive({ type: "commit", generation: plan.generation });
  rows.committed(plan.config.pools);
  return answers.at(-1);
}

async function apply(plan: Plan): Promise<void> {
  expect(await prepare(plan)).toEqual({ type: "prepared", generation: plan.generation });
  expect(await commit(plan)).toEqual({ type: "committed", generation: plan.generation });
}

function portOf(address: SocketAddress): number {
  if ("unix" in address) throw new Error("a unix socket has no port");
  return address.port;
}

function urlOf(address: SocketAddress): string {
  return `http://127.0.0.1:${portOf(address)}`;
}

const FILE_STRATEGY = { strategy: { kind: "file", file: "watcher.ts" } } as const;

/** With other options it is another instance. */
function withOptions(options: unknown) {
  return { strategy: { ...FILE_STRATEGY.strategy, options } };
}

describe("a second plan", () => {
  test("fails no request, and keeps backend objects, idle connections and counters", async () => {
    const server = backend();
    const address = await freeAddress();
    const pool = poolConfig([backendAt("a", server)], FILE_STRATEGY);
    await apply(makePlan([address], pool));
    const end = new AbortController();
    const statuses: number[] = [];
    const client = (async () => {
      while (!end.signal.aborted) {
        const response = await fetch(urlOf(address));
        await response.text();
        statuses.push(response.status);
      }
    })();
    for (let reload = 0; reload < 20; reload++) {
      const had = statuses.length;
      await apply(makePlan([address], { ...pool, ...withOptions(reload) }));
      while (statuses.length < had + 3) await Bun.sleep(1);
    }
    end.abort();
    await client;
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(server.connections).toBe(1);
    expect(counters.requests(0)).toBe(statuses.length);
    expect(counters.inFlight(0)).toBe(0);
    const { instances } = seen();
    expect(instances).toHaveLength(21);
    expect(new Set(instances.map(({ backends }) => backends[0])).size).toBe(1);
    expect(instances.map(({ previous }) => previous).slice(0, 3)).toEqual([
      undefined,
      "left by 1",
      "left by 2",
    ]);
    expect(instances.map(({ disposed }) => disposed)).toEqual([
      ...Array.from({ length: 20 }, () => true),
      false,
    ]);
  });

  test("leaves a request that is under way to the old instance, which ends with it", async () => {
    const held = Promise.withResolvers<void>();
    const server = backend(async (_request, wire) => {
      wire.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
      await held.promise;
      wire.write("ok");
    });
    const address = await freeAddress();
    const pool = poolConfig([backendAt("a", server)], FILE_STRATEGY);
    await apply(makePlan([address], pool));
    const answer = fetch(urlOf(address));
    await server.seen(1);
    await apply(makePlan([address], poolConfig([backendAt("b", server)], withOptions(2))));
    expect(seen().instances[0]).toMatchObject({ ends: 0, disposed: false });
    held.resolve();
    expect(await (await answer).text()).toBe("ok");
    expect(seen().instances[0]).toMatchObject({ ends: 1, disposed: true });
    expect(seen().instances[1]).toMatchObject({ ends: 0, disposed: false });
  });

  test("with another weight, limit or labels changes the same backend object", async () => {
    const server = backend();
    const address = await freeAddress();
    await apply(makePlan([address], poolConfig([backendAt("a", server)], FILE_STRATEGY)));
    const heavier = backendAt("a", server, { weight: 3, labels: { zone: "b" } });
    const plan = makePlan([address], poolConfig([heavier], withOptions(2)));
    await prepare(plan);
    expect(seen().instances[0]?.backends[0]?.weight).toBe(1);
    await commit(plan);
    const [before, after] = seen().instances.map(({ backends }) => backends[0]);
    expect(after).toBe(before as Backend);
    expect(after).toMatchObject({ weight: 3, labels: { zone: "b" } });
    expect(seen().instances.map(({ weights }) => weights)).toEqual([[1], [3]]);
  });

  test("with other timeouts gets new connections, and closes the idle ones", async () => {
    const server = backend();
    const address = await freeAddress();
    const pool = poolConfig([backendAt("a", server)], FILE_STRATEGY);
    await apply(makePlan([address], pool));
    await (await fetch(urlOf(address))).text();
    const timeouts = { ...pool.timeouts, firstByteMs: 5000 };
    await apply(makePlan([address], { ...pool, ...withOptions(2), timeouts }));
    await (await fetch(urlOf(address))).text();
    expect(server.connections).toBe(2);
    await server.until(() => server.openConnections === 1);
    expect(counters.openConnections(0)).toBe(1);
    expect(seen().instances[1]?.backends[0]).toBe(seen().instances[0]?.backends[0] as Backend);
  });

  test("closes the connections of a backend that is gone", async () => {
    const [first, second] = [backend(), backend()];
    const address = await freeAddress();
    await apply(makePlan([address], poolConfig([backendAt("a", first)], FILE_STRATEGY)));
    await (await fetch(urlOf(address))).text();
    await apply(makePlan([address], poolConfig([backendAt("b", second)], FILE_STRATEGY)));
    await first.until(() => first.openConnections === 0);
    await (await fetch(urlOf(address))).text();
    expect(second.requests).toHaveLength(1);
  });

  test("tells instances that are prepared what happens to backends meanwhile", async () => {
    const server = backend();
    const address = await freeAddress();
    const pool = poolConfig([backendAt("a", server)], FILE_STRATEGY);
    await apply(makePlan([address], pool));
    const plan = makePlan([address], { ...pool, ...withOptions(2) });
    await prepare(plan);
    const change = { type: "health", pool: "web", row: 0, from: "healthy" } as const;
    await worker.receive({ ...change, to: "unhealthy" });
    await commit(plan);
    await worker.receive({ ...change, from: "unhealthy", to: "healthy" });
    expect(seen().health).toEqual(["1: a unhealthy", "2: a unhealthy", "2: a healthy"]);
  });
});

describe("a plan in which a strategy is the same", () => {
  test("keeps its instance, and tells it what is new of the backends", async () => {
    const [first, second] = [backend(), backend()];
    const address = await freeAddress();
    const a = backendAt("a", first);
    await apply(makePlan([address], poolConfig([a], FILE_STRATEGY)));
    const [instance] = seen().instances;
    const [object] = instance?.backends ?? [];
    const told = instance?.backends;
    await apply(makePlan([address], poolConfig([a], { ...FILE_STRATEGY, hostHeader: "backend" })));
    expect(instance?.backends).toBe(told as readonly Backend[]);
    const heavier = backendAt("a", first, { weight: 3 });
    await apply(makePlan([address], poolConfig([heavier], FILE_STRATEGY)));
    expect(instance?.weights).toEqual([3]);
    await apply(makePlan([address], poolConfig([backendAt("b", second), heavier], FILE_STRATEGY)));
    expect(instance?.weights).toEqual([1, 3]);
    expect(instance?.backends[1]).toBe(object as Backend);
    await apply(makePlan([address], poolConfig([backendAt("b", second)], FILE_STRATEGY)));
    expect(instance?.backends.map(({ id }) => id)).toEqual(["b"]);
    // Who comes back is another one, whatever it looks like.
    await apply(makePlan([address], poolConfig([heavier], FILE_STRATEGY)));
    expect(instance?.backends[0]).toMatchObject({ id: "a" });
    expect(instance?.backends[0]).not.toBe(object as Backend);
    expect(seen().instances).toHaveLength(1);
    await (await fetch(urlOf(address))).text();
    expect(instance).toMatchObject({ ends: 1, disposed: false });
  });

  test("makes another one of it when it was quarantined", async () => {
    const address = await freeAddress();
    const pool = poolConfig([backendAt("a", backend())], withOptions("faulty"));
    await apply(makePlan([address], pool));
    for (let i = 0; i < 9; i++) await (await fetch(urlOf(address))).text();
    await apply(makePlan([address], pool));
    expect(seen().instances).toHaveLength(1);
    await (await fetch(urlOf(address))).text();
    await apply(makePlan([address], pool));
    expect(seen().instances).toMatchObject([{ disposed: true }, { previous: "left by 1" }]);
  });

  test("tells it once what happens to a backend meanwhile", async () => {
    const address = await freeAddress();
    const pool = poolConfig([backendAt("a", backend())], FILE_STRATEGY);
    await apply(makePlan([address], pool));
    await prepare(makePlan([address], pool));
    const change = { type: "health", pool: "web", row: 0 } as const;
    await worker.receive({ ...change, from: "unknown", to: "unhealthy" });
    expect(seen().health).toEqual(["1: a unhealthy"]);
  });

  test("leaves its instance at work when it is aborted or refused", async () => {
    const address = await freeAddress();
    const pool = poolConfig([backendAt("a", backend())], FILE_STRATEGY);
    await apply(makePlan([address], pool));
    const plan = makePlan([address], pool);
    await prepare(plan);
    await worker.receive({ type: "abort", generation: plan.generation });
    const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const busy = { hostname: "127.0.0.1", port: taken.port };
    expect(await prepare(makePlan([address, busy], pool))).toMatchObject({ type: "refused" });
    taken.stop(true);
    expect(seen().instances).toMatchObject([{ disposed: false }]);
    await (await fetch(urlOf(address))).text();
    expect(seen().instances[0]?.ends).toBe(1);
  });
});

describe("listeners", () => {
  test("that a plan adds hold a client until it is in force, those it drops are closed", async () => {
    const server = backend();
    const [stays, goes, comes] = [await freeAddress(), await freeAddress(), await freeAddress()];
    const pool = poolConfig([backendAt("a", server)], FILE_STRATEGY);
    await apply(makePlan([stays, goes], pool));
    const plan = makePlan([stays, comes], pool);
    await prepare(plan);
    const early = await connectRaw(portOf(comes));
    early.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect((await fetch(urlOf(goes))).status).toBe(200);
    expect(early.received()).toBe("");
    expect(server.requests).toHaveLength(1);
    await commit(plan);
    await early.closed;
    expect(early.received()).toStartWith("HTTP/1.1 200");
    expect((await fetch(urlOf(stays))).status).toBe(200);
    while (!(await refuses(goes))) await Bun.sleep(5);
  });

  test("that a plan opened are closed when it is aborted, and nothing else is", async () => {
    const server = backend();
    const [stays, comes] = [await freeAddress(), await freeAddress()];
    const pool = poolConfig([backendAt("a", server)], FILE_STRATEGY);
    await apply(makePlan([stays], pool));
    const plan = makePlan([stays, comes], { ...pool, ...withOptions(2) });
    await prepare(plan);
    await worker.receive({ type: "abort", generation: plan.generation });
    expect(await refuses(comes)).toBe(true);
    expect((await fetch(urlOf(stays))).status).toBe(200);
    expect(seen().instances[1]).toMatchObject({ disposed: true });
    expect(await commit(plan)).toMatchObject({ type: "refused", generation: plan.generation });
    expect((await fetch(urlOf(stays))).status).toBe(200);
  });

  test("of a plan that is refused are closed again", async () => {
    const server = backend();
    const [stays, comes] = [await freeAddress(), await freeAddress()];
    const pool = poolConfig([backendAt("a", server)], FILE_STRATEGY);
    await apply(makePlan([stays], pool));
    const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    try {
      const busy = { hostname: "127.0.0.1", port: taken.port };
      const answer = await prepare(makePlan([stays, comes, busy], pool));
      expect(answer).toMatchObject({ type: "refused", atRunTime: true });
      const { problems } = answer as Extract<FromWorker, { type: "refused" }>;
      expect(problems[0]?.message).toContain("--listen or listen[2].address");
    } finally {
      taken.stop(true);
    }
    const strategy = { ...FILE_STRATEGY.strategy, options: "bad" };
    const bad = makePlan([stays, comes], { ...pool, strategy });
    expect(await prepare(bad)).toMatchObject({ type: "refused", atRunTime: false });
    expect(await refuses(comes)).toBe(true);
    expect((await fetch(urlOf(stays))).status).toBe(200);
  });
});

async function refuses(address: SocketAddress): Promise<boolean> {
  try {
    (await connectRaw(portOf(address))).reset();
    return false;
  } catch {
    return true;
  }
}

describe("a plan that comes while its worker is stopped", () => {
  test("is refused, and opens no listener: nobody would hear that it closes", async () => {
    const address = await freeAddress();
    const plan = makePlan([address], poolConfig([backendAt("a", backend())], FILE_STRATEGY));
    await worker.stop({ delayMs: 0, graceMs: 0 });
    const problems = [{ path: "worker 0", message: "the worker is being stopped" }];
    expect(await prepare(plan)).toMatchObject({ type: "refused", problems, atRunTime: true });
    await expect(connectRaw(portOf(address))).rejects.toThrow();
  });

  test("is refused when it was being prepared, too", async () => {
    const address = await freeAddress();
    const plan = makePlan([address], poolConfig([backendAt("a", backend())], FILE_STRATEGY));
    const prepared = prepare(plan);
    await worker.stop({ delayMs: 0, graceMs: 0 });
    expect(await prepared).toMatchObject({ type: "refused", atRunTime: true });
    expect(await commit(plan)).toMatchObject({ type: "refused" });
    await expect(connectRaw(portOf(address))).rejects.toThrow();
    expect(seen().instances.every(({ disposed }) => disposed)).toBe(true);
  });
});
