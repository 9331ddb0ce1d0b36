import { beforeEach, describe, expect, test } from "bun:test";
import { ConfigError, RuntimeError } from "../../src/errors.ts";
import type { FromWorker, Plan } from "../../src/process/messages.ts";
import { WorkerGroup } from "../../src/process/worker-group.ts";
import { FakeWorkers, obey } from "../_support/fake-worker.ts";
import { RecordedLog } from "../_support/recorded-log.ts";
import { noTls, service, telemetryConfig } from "../_support/telemetry-config.ts";
import { VirtualClock } from "../_support/virtual-clock.ts";

let clock: VirtualClock;
let workers: FakeWorkers;
let log: RecordedLog;
let exits: number[];
let facts: FromWorker[];
let beforePrepare: () => void;

beforeEach(() => {
  clock = new VirtualClock();
  workers = new FakeWorkers();
  log = new RecordedLog();
  exits = [];
  facts = [];
  beforePrepare = () => {};
});

function group(count = 2): WorkerGroup {
  return new WorkerGroup({
    count,
    counters: { handle: "", shape: { rows: 1, workers: count + 1 }, censusKey: "key" },
    version: "1.0.0",
    spawn: workers.spawn,
    beforePrepare: () => beforePrepare(),
    onMessage: (message) => void facts.push(message),
    conditionsOf: () => ({}),
    onExit: ({ column }) => {
      exits.push(column);
      return null;
    },
    graceMs: () => 1000,
    random: () => 0.5,
    instance: "a1b2c3d4",
    telemetry: { config: telemetryConfig(), service, tls: noTls },
    now: clock.now,
    schedule: clock.schedule,
    log,
  });
}

function plan(generation: number): Plan {
  const config = {
    listen: [],
    pools: [],
    routes: [],
    trustedProxies: [],
    clientConnections: { max: null, maxPerAddress: null },
    accessLog: null,
    requestId: true,
  };
  return { generation, config, rows: {}, strategies: {} };
}

async function started(count = 2): Promise<WorkerGroup> {
  const running = group(count);
  await running.apply(plan(1));
  return running;
}

describe("a plan", () => {
  test("is committed when all have prepared it", async () => {
    const held = Promise.withResolvers<void>();
    workers.answer = (message, worker) => {
      if (message.type !== "prepare" || worker.pid === 1) return obey(message);
      void held.promise.then(() => worker.say(obey(message)));
      return null;
    };
    const running = group();
    const applied = running.apply(plan(1));
    await clock.pass(0);
    expect(workers.all.map(({ history }) => history)).toEqual([
      ["setup", "prepare 1"],
      ["setup", "prepare 1"],
    ]);
    expect(running.serving).toBe(0);
    held.resolve();
    await applied;
    expect(workers.at(0).history).toEqual(["setup", "prepare 1", "commit 1"]);
    expect(running.serving).toBe(2);
  });

  test("is tried by one worker alone while workers serve: it may take its process with it", async () => {
    const running = await started();
    workers.answer = (message, worker) => {
      if (message.type !== "prepare" || message.plan.generation !== 2) return obey(message);
      worker.end("signal SIGKILL");
      return null;
    };
    await expect(running.apply(plan(2))).rejects.toBeInstanceOf(RuntimeError);
    expect(workers.all.slice(0, 2).map(({ ended }) => ended)).toEqual([true, false]);
    expect(workers.at(1).history).not.toContain("prepare 2");
    await clock.pass(0);
    expect(running.serving).toBe(2);
  });

  test("that one refuses is aborted everywhere, and the one before goes on", async () => {
    const running = await started();
    const problems = [{ path: "pools.web.strategy", message: "create threw" }];
    workers.answer = (message, worker) =>
      message.type === "prepare" && worker.pid === 2
        ? { type: "refused", generation: 2, problems, atRunTime: false }
        : obey(message);
    const error = await running.apply(plan(2)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).problems).toEqual(problems);
    for (const worker of workers.all) {
      expect(worker.history.slice(-2)).toEqual(["prepare 2", "abort 2"]);
    }
    expect(running.serving).toBe(2);
    expect(workers.all).toHaveLength(2);
  });

  test("that kills a worker is aborted, and the replacement gets the one before", async () => {
    const running = await started();
    workers.answer = (message, worker) => {
      if (message.type !== "prepare" || message.plan.generation !== 2) return obey(message);
      if (worker.pid === 2) worker.end("signal SIGSEGV");
      return worker.pid === 2 ? null : obey(message);
    };
    await expect(running.apply(plan(2))).rejects.toBeInstanceOf(RuntimeError);
    await clock.pass(0);
    expect(workers.at(0).history.at(-1)).toBe("abort 2");
    expect(workers.at(2).history).toEqual(["setup", "prepare 1", "commit 1"]);
    expect(running.serving).toBe(2);
  });

  test("reaches a worker that was being replaced meanwhile", async () => {
    const running = await started();
    const held = Promise.withResolvers<void>();
    workers.answer = (message, worker) => {
      if (worker.pid !== 3 || message.type !== "commit" || message.generation !== 1) {
        return obey(message);
      }
      void held.promise.then(() => worker.say(obey(message)));
      return null;
    };
    workers.at(1).end("exit code 1");
    await clock.pass(0);
    expect(workers.at(2).history.at(-1)).toBe("commit 1");
    await running.apply(plan(2));
    expect(running.serving).toBe(1);
    held.resolve();
    await clock.pass(0);
    expect(workers.at(2).history).toEqual([
      "setup",
      "prepare 1",
      "commit 1",
      "prepare 2",
      "commit 2",
    ]);
    expect(running.serving).toBe(2);
  });

  test("reaches a replacement that came up while the others were still preparing", async () => {
    const running = await started();
    const held = Promise.withResolvers<void>();
    workers.answer = (message, worker) => {
      if (worker.pid !== 1 || message.type !== "prepare") return obey(message);
      void held.promise.then(() => worker.say(obey(message)));
      return null;
    };
    workers.at(1).end("exit code 1");
    const applied = running.apply(plan(2));
    await clock.pass(0);
    expect(workers.at(2).history).toEqual(["setup", "prepare 1", "commit 1"]);
    held.resolve();
    await applied;
    expect(workers.at(2).history.slice(-2)).toEqual(["prepare 2", "commit 2"]);
    expect(running.serving).toBe(2);
  });

  test("that a worker dies of at the commit is in force, and its replacement gets it", async () => {
    const running = await started();
    workers.answer = (message, worker) => {
      if (message.type !== "commit" || worker.pid !== 2) return obey(message);
      worker.end("signal SIGKILL");
      return null;
    };
    await running.apply(plan(2));
    await clock.pass(0);
    expect(workers.at(2).history).toEqual(["setup", "prepare 2", "commit 2"]);
    expect(running.serving).toBe(2);
  });

  test("whose files cannot be written changes nothing", async () => {
    const running = await started();
    beforePrepare = () => {
      throw new RuntimeError("disk full");
    };
    await expect(running.apply(plan(2))).rejects.toThrow("disk full");
    expect(workers.at(0).history.at(-1)).toBe("commit 1");
    expect(running.serving).toBe(2);
  });

  test("cannot be applied while another one is", async () => {
    const running = await started();
    const first = running.apply(plan(2));
    await expect(running.apply(plan(3))).rejects.toThrow("being applied");
    await first;
  });
});

describe("the first plan", () => {
  test("fails when a worker dies of it, and nobody is replaced", async () => {
    workers.answer = (message, worker) => {
      if (message.type === "prepare") worker.end("exit code 7");
      return null;
    };
    await expect(group().apply(plan(1))).rejects.toThrow("ended before it could serve");
    await clock.pass(60_000);
    expect(workers.all).toHaveLength(2);
  });

  test("fails when the machine has no room for a process", async () => {
    workers.failures.push(new Error("EAGAIN"));
    const failed = group().apply(plan(1));
    await expect(failed).rejects.toBeInstanceOf(RuntimeError);
    await expect(failed).rejects.toThrow("EAGAIN");
  });

  test("fails when a worker is another version of the program", async () => {
    workers.version = "2.0.0";
    const failed = group().apply(plan(1));
    await expect(failed).rejects.toBeInstanceOf(RuntimeError);
    await expect(failed).rejects.toThrow("runs leastwise 2.0.0, its master 1.0.0");
    expect(workers.at(0).history).not.toContain("prepare 1");
  });

  test("fails when a worker does not come up", async () => {
    const running = group(1);
    const failed = running.apply(plan(1)).catch((error: unknown) => error);
    const silent = workers.at(0);
    silent.say = () => {};
    await clock.pass(30_000);
    expect(silent.killed).toBe(true);
    expect(await failed).toBeInstanceOf(RuntimeError);
  });
});

describe("a worker that dies", () => {
  test("gives its share back, and is replaced in its place", async () => {
    const running = await started();
    workers.at(1).end("signal SIGKILL");
    expect(exits).toEqual([1]);
    expect(running.serving).toBe(1);
    await clock.pass(0);
    expect(running.serving).toBe(2);
    expect(workers.at(2).told[0]).toMatchObject({ type: "setup", setup: { index: 1 } });
    expect(await running.status()).toMatchObject([
      { id: 0, pid: 1, restarts: 0 },
      { id: 1, pid: 3, restarts: 1 },
    ]);
    expect(running.restarts).toBe(1);
  });

  test("again and again is replaced ever later", async () => {
    await started(1);
    const spawnedAt: number[] = [];
    workers.answer = (message, worker) => {
      if (message.type === "prepare") {
        spawnedAt.push(clock.nowMs);
        worker.end("exit code 1");
      }
      return null;
    };
    workers.at(0).end("exit code 1");
    await clock.pass(20_000);
    expect(spawnedAt).toEqual([0, 100, 600, 1600, 3600, 8600, 13_600, 18_600]);
  });

  test("after it has served for long is replaced at once, whatever happened before", async () => {
    await started(1);
    for (let death = 0; death < 4; death++) {
      workers.at(death).end("exit code 1");
      await clock.pass(5000);
    }
    await clock.pass(10_000);
    workers.at(4).end("exit code 1");
    await clock.pass(0);
    expect(workers.all).toHaveLength(6);
  });

  test("is replaced later when the machine has no room for a process now", async () => {
    const running = await started();
    workers.failures.push(new Error("EAGAIN"), new Error("EAGAIN"));
    workers.at(1).end("signal SIGKILL");
    await clock.pass(99);
    expect(running.serving).toBe(1);
    expect(log.messages.at(-1)).toBe("no worker can be started, trying again");
    await clock.pass(10_000);
    expect(running.serving).toBe(2);
  });

  test("is replaced later when its files cannot be written now", async () => {
    const running = await started(1);
    beforePrepare = () => {
      throw new Error("disk full");
    };
    workers.at(0).end("signal SIGKILL");
    await clock.pass(50);
    expect(workers.at(1).killed).toBe(true);
    expect(log.lines.some(({ fields }) => fields["reason"] === "disk full")).toBe(true);
    beforePrepare = () => {};
    await clock.pass(10_000);
    expect(running.serving).toBe(1);
  });

  test("while all stop is not replaced", async () => {
    const running = await started();
    await running.stop({ delayMs: 0, graceMs: 1000 });
    await clock.pass(60_000);
    expect(workers.all).toHaveLength(2);
    expect(clock.pending).toBe(0);
  });
});

describe("a worker that does not answer its plan", () => {
  test("is killed and replaced", async () => {
    const running = await started(1);
    workers.answer = (message, worker) =>
      message.type === "prepare" && worker.pid === 2 ? null : obey(message);
    workers.at(0).end("exit code 1");
    await clock.pass(10_000);
    expect(workers.at(1).killed).toBe(true);
    await clock.pass(1000);
    expect(running.serving).toBe(1);
  });
});

describe("stopping", () => {
  test("kills and names what is left after the grace and a margin", async () => {
    const running = await started();
    workers.answer = (message, worker) => {
      if (message.type === "stop" && worker.pid === 1) worker.end("exit code 0");
      return null;
    };
    const stopped = running.stop({ delayMs: 0, graceMs: 1000 });
    await clock.pass(6499);
    expect(workers.at(1).killed).toBe(false);
    await clock.pass(1);
    await stopped;
    expect(workers.at(0).killed).toBe(false);
    expect(workers.at(1).killed).toBe(true);
    const killed = log.lines.filter(({ level }) => level === "error");
    expect(killed).toMatchObject([{ fields: { worker: 1, pid: 2 } }]);
  });
});

describe("messages that no worker sends", () => {
  test("are ignored and logged once", async () => {
    const running = await started(1);
    const worker = workers.at(0);
    const again = { type: "started", version: "1.0.0" };
    for (const message of [null, 7, { type: "failing" }, again]) worker.say(message);
    await clock.pass(0);
    expect(facts).toEqual([]);
    expect(worker.history).toEqual(["setup", "prepare 1", "commit 1"]);
    expect(running.serving).toBe(1);
    expect(log.messages).toEqual([
      "messages of a worker are ignored: only leastwise may send there",
    ]);
  });

  test("do not pass for an answer: a commit of what is not prepared ends the worker", async () => {
    const running = await started(1);
    workers.answer = (message, worker) => {
      if (message.type === "commit" && worker.pid === 2) {
        const problems = [{ path: "worker 0", message: "has no plan 1 prepared" }];
        return { type: "refused", generation: 1, problems, atRunTime: true };
      }
      return obey(message);
    };
    workers.at(0).end("exit code 1");
    await clock.pass(0);
    expect(workers.at(1).killed).toBe(true);
    await clock.pass(1000);
    expect(running.serving).toBe(1);
  });
});
