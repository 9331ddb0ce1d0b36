import { beforeEach, describe, expect, test } from "bun:test";
import { ConfigError, RuntimeError } from "../../src/errors.ts";
import { type FakeWorker, obey } from "../_support/fake-worker.ts";
import { plan, WorkerStage } from "../_support/worker-stage.ts";

let stage: WorkerStage;
let clock: WorkerStage["clock"];
let workers: WorkerStage["workers"];
let log: WorkerStage["log"];

beforeEach(() => {
  stage = new WorkerStage();
  ({ clock, workers, log } = stage);
});

describe("a plan", () => {
  test("is committed when all have prepared it", async () => {
    const held = Promise.withResolvers<void>();
    workers.answer = (message, worker) => {
      if (message.type !== "prepare" || worker.pid === 1) return obey(message);
      void held.promise.then(() => worker.say(obey(message)));
      return null;
    };
    const running = stage.group();
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
    const running = await stage.started();
    workers.answer = (message, worker) => {
      if (message.type !== "prepare" || message.plan.generation !== 2) return obey(message);
      worker.end("exit code 1");
      return null;
    };
    await expect(running.apply(plan(2))).rejects.toBeInstanceOf(RuntimeError);
    expect(workers.all.slice(0, 2).map(({ ended }) => ended)).toEqual([true, false]);
    expect(workers.at(1).history).not.toContain("prepare 2");
    await clock.pass(0);
    expect(running.serving).toBe(2);
  });

  test("that one refuses is aborted everywhere, and the one before goes on", async () => {
    const running = await stage.started();
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
    const running = await stage.started();
    workers.answer = (message, worker) => {
      if (message.type !== "prepare" || message.plan.generation !== 2) return obey(message);
      if (worker.pid === 2) worker.end("exit code 1");
      return worker.pid === 2 ? null : obey(message);
    };
    await expect(running.apply(plan(2))).rejects.toBeInstanceOf(RuntimeError);
    await clock.pass(0);
    expect(workers.at(0).history.at(-1)).toBe("abort 2");
    expect(workers.at(2).history).toEqual(["setup", "prepare 1", "commit 1"]);
    expect(running.serving).toBe(2);
  });

  test("reaches a worker that was being replaced meanwhile", async () => {
    const running = await stage.started();
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

  test("reaches a replacement that cannot prepare the one before any more", async () => {
    const running = await stage.started();
    const held = Promise.withResolvers<void>();
    const problems = [{ path: "mine.ts", message: "no such file" }];
    workers.answer = (message, worker) => {
      if (worker.pid !== 3 || message.type !== "prepare" || message.plan.generation !== 1) {
        return obey(message);
      }
      void held.promise.then(() =>
        worker.say({ type: "refused", generation: 1, problems, atRunTime: false }),
      );
      return null;
    };
    workers.at(1).end("exit code 1");
    await clock.pass(0);
    await running.apply(plan(2));
    held.resolve();
    await clock.pass(0);
    expect(workers.at(2).killed).toBe(false);
    expect(workers.at(2).history.slice(-2)).toEqual(["prepare 2", "commit 2"]);
    expect(running.serving).toBe(2);
  });

  test("reaches a replacement that came up while the others were still preparing", async () => {
    const running = await stage.started();
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

  test("that a worker dies of at the commit is in force when others have it, and its replacement gets it", async () => {
    const running = await stage.started();
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

  test("is committed by one worker alone, and then by one after the other", async () => {
    const running = await stage.started(3);
    workers.answer = (message) => (message.type === "commit" ? null : obey(message));
    const applied = running.apply(plan(2));
    for (const worker of workers.all) {
      await clock.pass(0);
      expect(worker.history.at(-1)).toBe("commit 2");
      const others = workers.all.slice(worker.pid);
      expect(others.map(({ history }) => history.at(-1))).toEqual(others.map(() => "prepare 2"));
      worker.say({ type: "committed", generation: 2 });
    }
    await applied;
    expect(running.serving).toBe(3);
  });

  test("that takes the first worker with it when it is committed is refused, and the others never commit it", async () => {
    const running = await stage.started();
    stage.causes.set(1, "in dispose of strategy mine of pool web");
    workers.answer = (message, worker) => {
      if (message.type !== "commit" || message.generation !== 2) return obey(message);
      worker.end("signal SIGKILL");
      return null;
    };
    await expect(running.apply(plan(2))).rejects.toThrow("in dispose of strategy mine of pool web");
    await clock.pass(0);
    expect(workers.at(1).history.slice(-2)).toEqual(["prepare 2", "abort 2"]);
    expect(workers.at(2).history).toEqual(["setup", "prepare 1", "commit 1"]);
    expect(running.serving).toBe(2);
  });

  test("that a worker claims to have prepared, and has not, is refused", async () => {
    const running = await stage.started();
    workers.answer = (message, worker) => {
      if (message.type !== "commit" || worker.pid !== 1) return obey(message);
      const problems = [{ path: "worker 0", message: "has no plan 2 prepared" }];
      return { type: "refused", generation: 2, problems, atRunTime: true };
    };
    await expect(running.apply(plan(2))).rejects.toThrow("has no plan 2 prepared");
    expect(workers.at(1).history).not.toContain("commit 2");
    expect(running.serving).toBe(2);
  });

  test("goes on without a worker that somebody kills meanwhile, and reaches its replacement", async () => {
    const running = await stage.started(3);
    workers.answer = (message, worker) => {
      if (message.type !== "prepare" || message.plan.generation !== 2 || worker.pid !== 1) {
        return obey(message);
      }
      worker.end("signal SIGKILL");
      return null;
    };
    await running.apply(plan(2));
    await clock.pass(0);
    for (const worker of workers.all.slice(1)) expect(worker.history.at(-1)).toBe("commit 2");
    expect(workers.all).toHaveLength(4);
    expect(running.serving).toBe(3);
    expect(log.messages).toContain("a worker ended during a reload, which goes on without it");
  });

  test("is tried by the replacement when the only worker is killed meanwhile", async () => {
    const running = await stage.started(1);
    workers.answer = (message, worker) => {
      if (message.type !== "prepare" || worker.pid !== 1) return obey(message);
      worker.end("signal SIGKILL");
      return null;
    };
    await running.apply(plan(2));
    await clock.pass(60_000);
    expect(workers.at(1).history).toEqual(["setup", "prepare 2", "commit 2"]);
    expect(workers.all).toHaveLength(2);
    expect(running.serving).toBe(1);
    expect(running.restarts).toBe(1);
  });

  test("that two workers die of is refused, whatever they died of", async () => {
    const running = await stage.started(3);
    workers.answer = (message, worker) => {
      if (message.type !== "prepare" || message.plan.generation !== 2) return obey(message);
      worker.end("signal SIGSEGV");
      return null;
    };
    await expect(running.apply(plan(2))).rejects.toThrow("ended before it could serve");
    expect(workers.at(2).history).not.toContain("prepare 2");
    await clock.pass(0);
    expect(running.serving).toBe(3);
  });

  test("is refused for the death of the worker that was asked, and not for another's", async () => {
    const running = await stage.started(3);
    stage.causes.set(1, "in create of strategy mine of pool web");
    stage.causes.set(2, "in score of strategy old of pool web");
    workers.answer = (message, worker) => {
      if (message.type !== "prepare" || message.plan.generation !== 2) return obey(message);
      worker.end("signal SIGKILL");
      workers.at(1).end("signal SIGKILL");
      return null;
    };
    await expect(running.apply(plan(2))).rejects.toThrow("in create of strategy mine of pool web");
  });

  test("is refused when the workers are told to stop before it is in force", async () => {
    const running = await stage.started(1);
    workers.answer = (message) => (message.type === "prepare" ? null : obey(message));
    const applied = running.apply(plan(2));
    await clock.pass(0);
    void running.stop({ delayMs: 0, graceMs: 0 });
    workers.at(0).say({ type: "prepared", generation: 2 });
    await expect(applied).rejects.toThrow("being stopped");
    expect(workers.at(0).history).not.toContain("commit 2");
  });

  test("whose files cannot be written changes nothing", async () => {
    const running = await stage.started();
    stage.beforePrepare = () => {
      throw new RuntimeError("disk full");
    };
    await expect(running.apply(plan(2))).rejects.toThrow("disk full");
    expect(workers.at(0).history.at(-1)).toBe("commit 1");
    expect(running.serving).toBe(2);
  });

  test("cannot be applied while another one is", async () => {
    const running = await stage.started();
    const first = running.apply(plan(2));
    await expect(running.apply(plan(3))).rejects.toThrow("being applied");
    await first;
  });
});

describe("a plan that comes while no worker serves", () => {
  /** Both have died so often that nobody is started in their places for a while. */
  async function startedAndLost() {
    const running = await stage.started();
    workers.answer = (message, worker) => {
      if (message.type === "prepare") worker.end("exit code 1");
      return null;
    };
    for (const worker of workers.all) worker.end("exit code 1");
    await clock.pass(5000);
    expect(running.living).toEqual([]);
    return { running, before: workers.all.length };
  }

  test("is tried by a new worker, which takes a place with it, and the others get it at once", async () => {
    const { running, before } = await startedAndLost();
    workers.answer = obey;
    await running.apply(plan(2));
    await clock.pass(0);
    expect(running.serving).toBe(2);
    await clock.pass(60_000);
    const since = workers.all.slice(before);
    expect(since.map(({ history }) => history)).toEqual([
      ["setup", "prepare 2", "commit 2"],
      ["setup", "prepare 2", "commit 2"],
    ]);
    expect((await running.status()).map(({ id }) => id)).toEqual([0, 1]);
  });

  test("is refused when that one refuses it, and the plan before comes back", async () => {
    const { running, before } = await startedAndLost();
    const problems = [{ path: "pools.web.strategy", message: "create threw" }];
    workers.answer = (message) =>
      message.type === "prepare" && message.plan.generation === 2
        ? { type: "refused", generation: 2, problems, atRunTime: false }
        : obey(message);
    await expect(running.apply(plan(2))).rejects.toBeInstanceOf(ConfigError);
    expect(workers.at(before).killed).toBe(true);
    await clock.pass(60_000);
    expect(running.serving).toBe(2);
    for (const worker of workers.all.slice(before + 1)) {
      expect(worker.history).toEqual(["setup", "prepare 1", "commit 1"]);
    }
  });

  test("is refused when that one dies of it", async () => {
    const { running } = await startedAndLost();
    await expect(running.apply(plan(2))).rejects.toThrow("ended before it could serve");
    workers.answer = obey;
    await clock.pass(60_000);
    expect(running.serving).toBe(2);
    expect(workers.all.at(-1)?.history).toEqual(["setup", "prepare 1", "commit 1"]);
  });

  test("waits for one that comes up with the plan before, and is tried there", async () => {
    const running = await stage.started(1);
    const held = Promise.withResolvers<void>();
    workers.answer = (message, worker) => {
      if (message.type !== "prepare" || worker.pid !== 2) return obey(message);
      void held.promise.then(() => worker.say(obey(message)));
      return null;
    };
    workers.at(0).end("exit code 1");
    await clock.pass(0);
    const applied = running.apply(plan(2));
    await clock.pass(0);
    expect(workers.at(1).history).toEqual(["setup", "prepare 1"]);
    held.resolve();
    await applied;
    expect(workers.at(1).history.slice(-2)).toEqual(["prepare 2", "commit 2"]);
    expect(workers.all).toHaveLength(2);
  });

  test("has room for its new worker beside those that are about to be replaced", async () => {
    const { running } = await startedAndLost();
    const columns = new Map<FakeWorker, number>();
    let most = 0;
    workers.answer = (message, worker) => {
      if (message.type === "setup") columns.set(worker, message.setup.column);
      const used = workers.all.filter(({ ended }) => !ended).map((each) => columns.get(each) ?? 0);
      expect(new Set(used).size).toBe(used.length);
      most = Math.max(most, ...used);
      return message.type === "prepare" && message.plan.generation === 2 ? null : obey(message);
    };
    const applied = running.apply(plan(2)).catch(() => {});
    await clock.pass(60_000);
    await applied;
    expect(most).toBeLessThanOrEqual(2);
    expect(running.serving).toBe(2);
  });
});

describe("the first plan", () => {
  test("fails when a worker dies of it, and nobody is replaced", async () => {
    workers.answer = (message, worker) => {
      if (message.type === "prepare") worker.end("exit code 7");
      return null;
    };
    await expect(stage.group().apply(plan(1))).rejects.toThrow("ended before it could serve");
    await clock.pass(60_000);
    expect(workers.all).toHaveLength(2);
  });

  test("fails when the machine has no room for a process", async () => {
    workers.failures.push(new Error("EAGAIN"));
    const failed = stage.group().apply(plan(1));
    await expect(failed).rejects.toBeInstanceOf(RuntimeError);
    await expect(failed).rejects.toThrow("EAGAIN");
  });

  test("fails when a worker is another version of the program", async () => {
    workers.version = "2.0.0";
    const failed = stage.group().apply(plan(1));
    await expect(failed).rejects.toBeInstanceOf(RuntimeError);
    await expect(failed).rejects.toThrow("runs leastwise 2.0.0, its master 1.0.0");
    expect(workers.at(0).history).not.toContain("prepare 1");
  });

  test("fails when a worker does not come up", async () => {
    const running = stage.group(1);
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
    const running = await stage.started();
    workers.at(1).end("signal SIGKILL");
    expect(stage.exits).toEqual([1]);
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
    await stage.started(1);
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
    await stage.started(1);
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
    const running = await stage.started();
    workers.failures.push(new Error("EAGAIN"), new Error("EAGAIN"));
    workers.at(1).end("signal SIGKILL");
    await clock.pass(99);
    expect(running.serving).toBe(1);
    expect(log.messages.at(-1)).toBe("no worker can be started, trying again");
    await clock.pass(10_000);
    expect(running.serving).toBe(2);
  });

  test("is replaced later when its files cannot be written now", async () => {
    const running = await stage.started(1);
    stage.beforePrepare = () => {
      throw new Error("disk full");
    };
    workers.at(0).end("signal SIGKILL");
    await clock.pass(50);
    expect(workers.at(1).killed).toBe(true);
    expect(log.lines.some(({ fields }) => fields["reason"] === "disk full")).toBe(true);
    stage.beforePrepare = () => {};
    await clock.pass(10_000);
    expect(running.serving).toBe(1);
  });

  test("while all stop is not replaced", async () => {
    const running = await stage.started();
    await running.stop({ delayMs: 0, graceMs: 1000 });
    await clock.pass(60_000);
    expect(workers.all).toHaveLength(2);
    expect(clock.pending).toBe(0);
  });
});

describe("a worker that does not answer its plan", () => {
  test("is killed and replaced", async () => {
    const running = await stage.started(1);
    workers.answer = (message, worker) =>
      message.type === "prepare" && worker.pid === 2 ? null : obey(message);
    workers.at(0).end("exit code 1");
    await clock.pass(10_000);
    expect(workers.at(1).killed).toBe(true);
    await clock.pass(1000);
    expect(running.serving).toBe(1);
  });

  test("is killed for that, and the plan is refused with this reason", async () => {
    const running = await stage.started();
    stage.causes.set(1, "in import of strategy mine of pool web");
    workers.answer = (message, worker) =>
      message.type === "prepare" && worker.pid === 1 ? null : obey(message);
    const killed = Promise.withResolvers<void>();
    workers.at(0).kill = killed.resolve;
    const failed = running.apply(plan(2)).catch((error: unknown) => error);
    await clock.pass(10_000);
    await killed.promise;
    // The system tells of an end some time after it was asked for.
    await clock.pass(100);
    workers.at(0).end("signal SIGKILL");
    const because =
      /it did not answer its plan within 10 s, in import of strategy mine of pool web/;
    expect(String(await failed)).toMatch(because);
  });

  test("because it failed is what the plan is refused with, in its own words", async () => {
    const running = await stage.started();
    workers.answer = (message, worker) => {
      if (message.type !== "prepare" || worker.pid !== 1) return obey(message);
      queueMicrotask(() => worker.end("exit code 1"));
      return { type: "failed", reason: "no such folder" };
    };
    const failed = running.apply(plan(2)).catch((error: unknown) => error);
    await clock.pass(100);
    expect(String(await failed)).toContain("it failed: no such folder");
  });

  test("has its time for each pool", async () => {
    const running = await stage.started(1);
    workers.answer = (message) => (message.type === "prepare" ? null : obey(message));
    const applied = running.apply(plan(2));
    for (let pool = 0; pool < 3; pool++) {
      await clock.pass(9000);
      workers.at(0).say({ type: "preparing", generation: 2 });
    }
    workers.at(0).say({ type: "prepared", generation: 2 });
    await applied;
    expect(workers.at(0).killed).toBe(false);
  });

  test("is left alone while it is stopped: the plan is refused, with how to go on", async () => {
    const running = await stage.started();
    stage.states.set(1, "T");
    workers.answer = (message, worker) => (worker.pid === 1 ? null : obey(message));
    const failed = running.apply(plan(2)).catch((error: unknown) => error);
    await clock.pass(10_000);
    expect(String(await failed)).toContain("worker 0 (process 1) is stopped");
    expect(String(await failed)).toContain("kill -CONT 1");
    await clock.pass(60_000);
    expect(workers.at(0).killed).toBe(false);
    expect(workers.at(0).history.slice(-2)).toEqual(["prepare 2", "abort 2"]);
    expect(running.serving).toBe(2);
  });

  test("is waited for when it is stopped between the phases, and has its time afterwards", async () => {
    const running = await stage.started(1);
    workers.answer = (message, worker) => {
      if (message.type !== "commit" || message.generation !== 2) return obey(message);
      stage.states.set(worker.pid, "t");
      return null;
    };
    const applied = running.apply(plan(2));
    await clock.pass(60_000);
    expect(log.messages).toContain(
      "a worker is waited for that is stopped, or gets no time on a processor",
    );
    stage.states.clear();
    await clock.pass(9000);
    expect(workers.at(0).killed).toBe(false);
    workers.at(0).say({ type: "committed", generation: 2 });
    await applied;
    expect(running.serving).toBe(1);
  });

  test("holds up nobody behind it when it is stopped before its turn comes, and follows later", async () => {
    const running = await stage.started(3);
    workers.answer = (message, worker) => {
      if (message.type !== "commit" || worker.pid !== 2) return obey(message);
      stage.states.set(worker.pid, "T");
      return null;
    };
    let applied = false;
    void running.apply(plan(2)).then(() => {
      applied = true;
    });
    await clock.pass(10_000);
    expect(workers.at(2).history.at(-1)).toBe("commit 2");
    expect(applied).toBe(true);
    expect(workers.at(1).killed).toBe(false);
    workers.at(1).say({ type: "committed", generation: 2 });
    await clock.pass(0);
    expect(running.serving).toBe(3);
    expect(clock.pending).toBe(0);
  });

  test("is not to blame for a time in which the master itself stood still", async () => {
    const running = await stage.started(1);
    workers.answer = (message) => (message.type === "prepare" ? null : obey(message));
    const applied = running.apply(plan(2));
    await clock.pass(1000);
    clock.nowMs += 3_600_000;
    await clock.pass(1000);
    expect(workers.at(0).killed).toBe(false);
    workers.at(0).say({ type: "prepared", generation: 2 });
    await applied;
  });
});

describe("stopping", () => {
  test("kills and names what is left after the grace and a margin", async () => {
    const running = await stage.started();
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
    const running = await stage.started(1);
    const worker = workers.at(0);
    const again = { type: "started", version: "1.0.0" };
    for (const message of [null, 7, { type: "failing" }, again]) worker.forge(message);
    await clock.pass(0);
    expect(stage.facts).toEqual([]);
    expect(worker.history).toEqual(["setup", "prepare 1", "commit 1"]);
    expect(running.serving).toBe(1);
    expect(log.messages).toEqual([
      "messages of a worker are ignored: only leastwise may send there",
    ]);
  });

  test("do not pass for an answer: a commit of what is not prepared ends the worker", async () => {
    const running = await stage.started(1);
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

  test("do not pass for an answer, whatever they say: the key is lacking", async () => {
    const running = await stage.started();
    workers.answer = (message, worker) => {
      if (message.type !== "prepare" || worker.pid !== 1) return obey(message);
      worker.forge({ type: "prepared", generation: 2 });
      worker.forge({ type: "prepared", generation: 2, key: "" });
      const problems = [{ path: "pools.web.strategy", message: "create threw" }];
      return { type: "refused", generation: 2, problems, atRunTime: false };
    };
    await expect(running.apply(plan(2))).rejects.toThrow("create threw");
    expect(running.serving).toBe(2);
  });
});

test("a refusal is bounded, and says what was left out", async () => {
  const running = await stage.started(1);
  const problems = Array.from({ length: 100 }, () => ({
    path: "pools.web.strategy",
    message: "x".repeat(1_000_000),
  }));
  workers.answer = (message) =>
    message.type === "prepare"
      ? { type: "refused", generation: 2, problems, atRunTime: false }
      : obey(message);
  const error = await running.apply(plan(2)).catch((thrown: unknown) => thrown);
  const refused = (error as ConfigError).problems;
  expect(JSON.stringify(refused).length).toBeLessThan(12_000);
  expect(refused[0]?.message).toEndWith("… (998000 more characters)");
  expect(refused.at(-1)?.message).toMatch(/^\d+ more are left out here$/);
});
