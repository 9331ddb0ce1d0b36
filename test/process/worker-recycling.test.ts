import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RuntimeError } from "../../src/errors.ts";
import type { ToWorker } from "../../src/process/messages.ts";
import { type FakeWorker, obey } from "../_support/fake-worker.ts";
import { plan, WorkerStage } from "../_support/worker-stage.ts";

let stage: WorkerStage;
let clock: WorkerStage["clock"];
let workers: WorkerStage["workers"];
let log: WorkerStage["log"];
let folder: string;

beforeEach(() => {
  stage = new WorkerStage();
  ({ clock, workers, log } = stage);
  folder = mkdtempSync(join(tmpdir(), "leastwise-test-"));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** One that is told to stop says that it is closed, and ends when the test says so. */
function obeyButLinger(message: ToWorker, worker: FakeWorker): unknown {
  if (message.type === "stop") worker.say({ type: "closed" });
  return obey(message);
}

function refusal(generation: number): unknown {
  const problems = [{ path: "pools.web.strategy", message: "create threw" }];
  return { type: "refused", generation, problems, atRunTime: false };
}

/** Column and place of a worker, as it was told. */
function setupOf(worker: FakeWorker) {
  const [first] = worker.told;
  if (first?.type !== "setup") throw new Error("it was not set up");
  return first.setup;
}

describe("recycling", () => {
  test("brings a new worker up before the old one is told to stop, one place after the other", async () => {
    const group = await stage.started();
    const events: string[] = [];
    workers.answer = (message, worker) => {
      events.push(`${worker.pid} ${message.type}`);
      if (message.type === "stop") worker.end("exit code 0");
      return obey(message);
    };
    await group.recycle();
    expect(events.filter((event) => !event.endsWith("setup"))).toEqual([
      "3 prepare",
      "3 commit",
      "1 stop",
      "4 prepare",
      "4 commit",
      "2 stop",
    ]);
    expect(await group.status()).toMatchObject([
      { id: 0, pid: 3, restarts: 0, state: "serving" },
      { id: 1, pid: 4, restarts: 0, state: "serving" },
    ]);
    expect(log.lines.filter(({ level }) => level === "error")).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  test("gives each living worker a column of its own, and never needs more than one to spare", async () => {
    const group = await stage.started();
    workers.answer = obeyButLinger;
    const recycled = group.recycle();
    await clock.pass(100);
    // The first has not ended: there is no room for a fourth.
    expect(workers.all).toHaveLength(3);
    expect(workers.all.map((worker) => setupOf(worker).column)).toEqual([0, 1, 2]);
    workers.at(0).end("exit code 0");
    await clock.pass(0);
    expect(stage.exits).toEqual([0]);
    expect(setupOf(workers.at(3))).toMatchObject({ index: 1, column: 0, succeeds: true });
    await recycled;
  });

  test("shows who is coming and who is stopping", async () => {
    const group = await stage.started(1);
    workers.answer = (message, worker) =>
      message.type === "commit" ? null : obeyButLinger(message, worker);
    void group.recycle();
    await clock.pass(0);
    expect(await group.status()).toMatchObject([
      { id: 0, pid: 1, state: "serving" },
      { id: 0, pid: 2, state: "starting" },
    ]);
    workers.at(1).say({ type: "committed", generation: 1 });
    await clock.pass(0);
    expect(await group.status()).toMatchObject([
      { id: 0, pid: 2, state: "serving" },
      { id: 0, pid: 1, state: "stopping" },
    ]);
  });

  test("ends at a successor that cannot serve: its predecessor goes on, and those behind it", async () => {
    const group = await stage.started();
    const problems = [{ path: "pools.web.strategy", message: "create threw" }];
    workers.answer = (message, worker) =>
      message.type === "prepare" && worker.pid === 3
        ? { type: "refused", generation: 1, problems, atRunTime: false }
        : obey(message);
    const failed = group.recycle();
    await expect(failed).rejects.toBeInstanceOf(RuntimeError);
    await expect(failed).rejects.toThrow(/worker 0 was not recycled.*create threw/);
    await clock.pass(60_000);
    expect(workers.at(2).killed).toBe(true);
    expect(workers.all).toHaveLength(3);
    expect(workers.at(0).history).not.toContain("stop");
    expect(group.serving).toBe(2);
    workers.answer = obey;
    await group.recycle();
    expect(workers.at(0).history).toContain("stop");
  });

  test("ends when the machine has no room for a process", async () => {
    const group = await stage.started();
    workers.failures.push(new Error("EAGAIN"));
    await expect(group.recycle()).rejects.toThrow("EAGAIN");
    expect(group.serving).toBe(2);
  });

  test("of a worker that dies meanwhile: its successor takes the place, nobody else comes", async () => {
    const group = await stage.started();
    workers.answer = (message, worker) => {
      if (message.type === "commit" && worker.pid === 3) workers.at(0).end("signal SIGKILL");
      if (message.type === "stop") worker.end("exit code 0");
      return obey(message);
    };
    await group.recycle();
    await clock.pass(60_000);
    expect(workers.all).toHaveLength(4);
    expect(await group.status()).toMatchObject([
      { id: 0, pid: 3, restarts: 1, state: "serving" },
      { id: 1, pid: 4, restarts: 0, state: "serving" },
    ]);
  });

  test("of a worker that dies while its successor fails: another one is started", async () => {
    const group = await stage.started();
    workers.answer = (message, worker) => {
      if (message.type !== "prepare" || worker.pid !== 3) return obey(message);
      workers.at(0).end("signal SIGKILL");
      worker.end("signal SIGKILL");
      return null;
    };
    await expect(group.recycle()).rejects.toThrow("worker 0 was not recycled");
    await clock.pass(60_000);
    expect(workers.all).toHaveLength(4);
    expect(group.serving).toBe(2);
    // It was 2: once for the successor that did not come.
    expect(group.restarts).toBe(1);
  });

  test("passes over a worker that is being replaced anyway", async () => {
    const group = await stage.started();
    workers.answer = (message, worker) => {
      if (message.type === "prepare" && worker.pid === 3) return null;
      if (message.type === "stop") worker.end("exit code 0");
      return obey(message);
    };
    workers.at(0).end("signal SIGKILL");
    await clock.pass(0);
    await group.recycle();
    expect(workers.all.map((worker) => setupOf(worker).index)).toEqual([0, 1, 0, 1]);
    workers.at(2).say({ type: "prepared", generation: 1 });
    await clock.pass(0);
    expect(group.serving).toBe(2);
  });

  test("that is asked for twice is done once", async () => {
    const group = await stage.started();
    await Promise.all([group.recycle(), group.recycle()]);
    expect(workers.all).toHaveLength(4);
    await group.recycle();
    expect(workers.all).toHaveLength(6);
  });

  test("keeps a plan waiting until nobody can connect to the old worker any more", async () => {
    const group = await stage.started(1);
    workers.answer = (message, worker) => (worker.ended ? null : obey(message));
    void group.recycle();
    await clock.pass(0);
    expect(workers.at(0).history).toContain("stop");
    const applied = group.apply(plan(2));
    await clock.pass(0);
    expect(workers.at(1).history).toEqual(["setup", "prepare 1", "commit 1"]);
    workers.at(0).say({ type: "closed" });
    await applied;
    expect(workers.at(1).history.slice(-2)).toEqual(["prepare 2", "commit 2"]);
    expect(workers.at(0).history).not.toContain("prepare 2");
  });

  test("keeps no plan waiting for an old worker that is stopped and does not close", async () => {
    stage.graceMs = 3_600_000;
    const group = await stage.started(1);
    workers.answer = (message, worker) => (worker.pid === 1 ? null : obey(message));
    stage.states.set(1, "T");
    void group.recycle();
    await clock.pass(0);
    let applied = false;
    void group.apply(plan(2)).then(() => {
      applied = true;
    });
    await clock.pass(10_000);
    expect(applied).toBe(true);
    expect(workers.at(1).history.slice(-2)).toEqual(["prepare 2", "commit 2"]);
    expect(workers.at(0).killed).toBe(false);
  });

  test("keeps no plan waiting for what an old worker still has when nobody else serves", async () => {
    stage.graceMs = 3_600_000;
    const group = await stage.started(1);
    workers.answer = obeyButLinger;
    await group.recycle();
    workers.answer = (message, worker) => {
      if (message.type === "prepare") worker.end("exit code 1");
      return null;
    };
    workers.at(1).end("exit code 1");
    await clock.pass(5000);
    expect(group.serving).toBe(0);
    const columns = new Set<number>();
    workers.answer = (message, worker) => {
      if (message.type === "setup") columns.add(message.setup.column);
      if (message.type === "prepare" && message.plan.generation === 2) return refusal(2);
      return obeyButLinger(message, worker);
    };
    await expect(Promise.all([group.apply(plan(2)), clock.pass(0)])).rejects.toThrow(
      "create threw",
    );
    await clock.pass(10_000);
    expect(group.serving).toBe(1);
    workers.all.at(-1)?.end("signal SIGKILL");
    await clock.pass(0);
    await group.apply(plan(3));
    expect(workers.all.at(-1)?.history.at(-1)).toBe("commit 3");
    expect(workers.at(0).ended).toBe(false);
    expect(columns).toEqual(new Set([1]));
  });

  test("kills an old worker that does not end within the grace", async () => {
    const group = await stage.started(1);
    workers.answer = obeyButLinger;
    await group.recycle();
    await clock.pass(6499);
    expect(workers.at(0).killed).toBe(false);
    await clock.pass(1);
    expect(workers.at(0).killed).toBe(true);
    expect(group.serving).toBe(1);
  });

  test("is called off by a stop, which reaches old and new ones", async () => {
    const group = await stage.started();
    workers.answer = (message, worker) => {
      if (message.type === "stop" && worker.pid !== 1) worker.end("exit code 0");
      return obeyButLinger(message, worker);
    };
    const recycled = group.recycle();
    await clock.pass(0);
    const stopped = group.stop({ delayMs: 0, graceMs: 0 });
    await clock.pass(0);
    workers.at(0).end("exit code 0");
    await stopped;
    await expect(recycled).rejects.toThrow("being stopped");
    expect(workers.all.every(({ ended }) => ended)).toBe(true);
    expect(workers.all).toHaveLength(3);
  });

  test("is done by itself when a worker holds too much of strategies that were replaced", async () => {
    const group = await stage.started(1);
    workers.answer = (message, worker) => {
      if (message.type === "stop") worker.end("exit code 0");
      return obey(message);
    };
    for (let generation = 2; generation < 12; generation++) {
      await group.apply(plan(generation, bundle(`${generation}.js`, 200_000)));
    }
    await clock.pass(0);
    expect(workers.all).toHaveLength(1);
    expect(await group.status()).toMatchObject([{ modules: 10 }]);
    await group.apply(plan(12, bundle("12.js", 1_000_000)));
    await group.apply(plan(13, bundle("13.js", 1000)));
    await clock.pass(0);
    expect(workers.all).toHaveLength(2);
    expect(await group.status()).toMatchObject([{ pid: 2, modules: 1, state: "serving" }]);
    expect(log.messages).toContain(
      "workers are recycled: they hold many old versions of strategies",
    );
  });

  test("is done by itself when a worker's metrics are full of backends that are gone", async () => {
    const group = await stage.started();
    workers.answer = (message, worker) => {
      if (message.type === "stop") worker.end("exit code 0");
      return obey(message);
    };
    stage.outgrown.add(1);
    await group.apply(plan(2));
    await clock.pass(0);
    expect((await group.status()).map(({ pid }) => pid)).toEqual([1, 3]);
    await group.apply(plan(3));
    await clock.pass(0);
    expect(workers.all).toHaveLength(3);
    expect(log.messages).toContain(
      "workers are recycled: they hold many metrics of backends that are gone",
    );
  });

  test("is no cure for one strategy that is large", async () => {
    const group = await stage.started(1);
    const large = bundle("large.js", 100_000_000);
    for (const generation of [2, 3, 4]) await group.apply(plan(generation, large));
    await clock.pass(1000);
    expect(workers.all).toHaveLength(1);
  });
});

function bundle(name: string, bytes: number): string {
  const path = join(folder, name);
  writeFileSync(path, "");
  truncateSync(path, bytes);
  return path;
}
