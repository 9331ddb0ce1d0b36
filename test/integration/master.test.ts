/** A master whose workers are played by the test. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import type { Config } from "../../src/config/config.ts";
import { Master } from "../../src/process/master.ts";
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

function startMaster(change: Partial<Config> = {}): Promise<void> {
  const address = { hostname: "127.0.0.1", port: 0 };
  const description = { name: "random", version, source: "built-in" };
  master = new Master({
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
      shutdown: { delayMs: 0, graceMs: 0 },
      telemetry: telemetryConfig(),
      ...change,
    },
    strategies: { web: { module: { kind: "built-in", name: "random" }, description } },
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

test("it keeps room for backends that a reload may add", async () => {
  await startMaster({ pools: [poolConfig(["a", "b", "c"].map((id) => backendConfig(id)))] });
  expect(master.capacity).toBe(1027);
});
