/** A master whose workers are played by the test. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { Config } from "../../src/config/config.ts";
import { ConfigError } from "../../src/errors.ts";
import { Master } from "../../src/process/master.ts";
import type { Provisioned } from "../../src/process/provision.ts";
import { FakeWorkers, obey } from "../_support/fake-worker.ts";
import { backendConfig, poolConfig } from "../_support/pools.ts";
import { RecordedLog } from "../_support/recorded-log.ts";
import { telemetryConfig } from "../_support/telemetry-config.ts";
import { version } from "../../src/version.ts";

let workers: FakeWorkers;
let log: RecordedLog;
let master: Master;

beforeEach(() => {
  workers = new FakeWorkers();
  workers.version = version;
  log = new RecordedLog();
});

afterEach(() => master.kill());

/** By how often a reload has loaded everything. */
let loads: number;

function startMaster(change: Partial<Config> = {}): Promise<void> {
  loads = 0;
  const address = { hostname: "127.0.0.1", port: 0 };
  const description = { name: "random", version, source: "built-in" };
  const provisioned: Provisioned = {
    config: {
      listen: [{ address }],
      pools: [poolConfig([backendConfig("a")])],
      routes: [],
      trustedProxies: [],
      clientConnections: { max: null, maxPerAddress: null },
      accessLog: null,
      requestId: true,
      admin: { address, token: "s3cret", hosts: [] },
      workers: 2,
      workerMemoryBytes: 1024 ** 3,
      watchdogMs: 1000,
      shutdown: { delayMs: 0, graceMs: 0 },
      telemetry: telemetryConfig(),
      ...change,
    },
    configFile: null,
    strategies: {
      web: { module: { kind: "built-in", name: "random" }, description, sources: [] },
    },
    shadows: {},
  };
  master = new Master({
    provisioned,
    async provision(signal) {
      loads++;
      if (signal.aborted)
        throw new ConfigError([{ path: "the config", message: "was called off" }]);
      return provisioned;
    },
    tempDir: "/nonexistent",
    now: () => performance.now(),
    random: () => 0.5,
    log,
    spawn: workers.spawn,
  });
  return master.start();
}

async function readiness(): Promise<number> {
  const headers = { authorization: "Bearer s3cret" };
  return (await fetch(`http://${master.adminAddress}/-/ready`, { headers })).status;
}

test("workers, where strategies run, never learn the token of the admin API", async () => {
  await startMaster();
  const told = workers.all.flatMap((worker) => worker.told);
  expect(told.map(({ type }) => type)).toContain("prepare");
  expect(JSON.stringify(told)).not.toContain("s3cret");
});

test("without a worker that serves it is not ready, with one it is", async () => {
  await startMaster();
  expect(await readiness()).toBe(200);
  workers.answer = (message, worker) => (worker.pid > 2 ? null : obey(message));
  workers.at(0).end("signal SIGKILL");
  expect(await readiness()).toBe(200);
  workers.at(1).end("signal SIGKILL");
  expect(await readiness()).toBe(503);
});

test("it serves nothing any more when the first plan is refused", async () => {
  const problems = [{ path: "worker 0", message: "no" }];
  workers.answer = (message) =>
    message.type === "prepare"
      ? { type: "refused", generation: 1, problems, atRunTime: true }
      : obey(message);
  await expect(startMaster()).rejects.toThrow("no");
  expect(workers.all.every(({ killed }) => killed)).toBe(true);
  await expect(readiness()).rejects.toThrow();
});

test("a reload that is asked for during the start is made after it", async () => {
  const prepare = Promise.withResolvers<void>();
  workers.answer = (message, worker) => {
    if (message.type !== "prepare" || message.plan.generation > 1) return obey(message);
    void prepare.promise.then(() => worker.say(obey(message)));
    return null;
  };
  const started = startMaster();
  const reloaded = master.reload("SIGHUP");
  while (workers.all.length < 2) await Bun.sleep(1);
  expect(loads).toBe(0);
  prepare.resolve();
  await started;
  expect(await reloaded).toMatchObject({ ok: true });
  expect(workers.at(1).history.filter((each) => each !== "health")).toEqual([
    "setup",
    "prepare 1",
    "commit 1",
    "prepare 2",
    "commit 2",
  ]);
});

test("a reload that is asked for during a start that fails, or a stop, ends with it", async () => {
  workers.answer = () => null;
  const started = startMaster();
  const reloaded = master.reload("SIGHUP");
  master.kill();
  await expect(started).rejects.toThrow();
  expect(await reloaded).toMatchObject({ ok: false });
  workers.answer = obey;
  await startMaster();
  const stopped = master.stop();
  expect(await master.reload("SIGHUP")).toMatchObject({
    ok: false,
    problems: [{ message: "is being stopped" }],
  });
  await stopped;
});

test("it keeps room for backends that a reload may add", async () => {
  await startMaster({ pools: [poolConfig(["a", "b", "c"].map((id) => backendConfig(id)))] });
  expect(master.capacity).toBe(1027);
});
