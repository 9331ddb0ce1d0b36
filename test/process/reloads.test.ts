import { beforeEach, describe, expect, test } from "bun:test";
import { ConfigError, RuntimeError } from "../../src/errors.ts";
import { Reloads } from "../../src/process/reloads.ts";
import { RecordedLog } from "../_support/recorded-log.ts";

let log: RecordedLog;
/** Those that have begun, in order; each ends when it is told to. */
let begun: PromiseWithResolvers<void>[];
let reloads: Reloads;

beforeEach(() => {
  log = new RecordedLog();
  begun = [];
  reloads = new Reloads({
    reload() {
      const reload = Promise.withResolvers<void>();
      begun.push(reload);
      return reload.promise.then(() => ["what came of it"]);
    },
    wallClock: () => 1_700_000_000_000,
    now: () => 0,
    log,
  });
});

describe("reloads", () => {
  test("asked for while one runs are one, which begins afterwards", async () => {
    const first = reloads.request("first");
    const others = ["second", "third", "last"].map((trigger) => reloads.request(trigger));
    expect(begun).toHaveLength(1);
    begun[0]?.resolve();
    expect(await first).toMatchObject({ trigger: "first", ok: true, notes: ["what came of it"] });
    expect(begun).toHaveLength(2);
    begun[1]?.resolve();
    const reports = await Promise.all(others);
    expect(new Set(reports).size).toBe(1);
    expect(reports[0]).toMatchObject({ trigger: "last", ok: true });
    expect(reloads.count).toBe(2);
  });

  test("never run two at a time, whoever asks at the moment when one ends", async () => {
    const first = reloads.request("first");
    const more = first.then(() => reloads.request("by the first who heard"));
    const waiting = reloads.request("waiting");
    begun[0]?.resolve();
    await first;
    expect(begun).toHaveLength(2);
    begun[1]?.resolve();
    await waiting;
    begun[2]?.resolve();
    await more;
    expect(begun).toHaveLength(3);
  });

  test("that fail say why, and leave the time of what is in force", async () => {
    const problem = { path: "pools.web", message: "is wrong" };
    const loadedAt = reloads.loadedAtMs;
    const failing = reloads.request("SIGHUP");
    begun[0]?.reject(new ConfigError([problem]));
    expect(await failing).toMatchObject({ ok: false, problems: [problem] });
    expect(reloads.last).toMatchObject({ ok: false, at: "2023-11-14T22:13:20.000Z" });
    expect(reloads.loadedAtMs).toBe(loadedAt);
    const [line] = log.lines;
    expect(line).toMatchObject({ level: "error", fields: { reason: "pools.web: is wrong" } });
    const refused = reloads.request("SIGHUP");
    begun[1]?.reject(new RuntimeError("no room"));
    expect((await refused).problems).toEqual([{ path: "leastwise", message: "no room" }]);
  });

  test("that are refused without a word are refused all the same", async () => {
    const failing = reloads.request("SIGHUP");
    begun[0]?.reject(new ConfigError([]));
    const problems = [{ path: "leastwise", message: "refused without a reason" }];
    expect(await failing).toMatchObject({ ok: false, problems });
  });

  test("that meet a bug of ours are told with its stack, and the next one runs", async () => {
    const broken = reloads.request("SIGHUP");
    const next = reloads.request("again");
    begun[0]?.reject(new TypeError("undefined is not an object"));
    expect((await broken).problems[0]?.message).toContain("undefined is not an object");
    begun[1]?.resolve();
    expect(await next).toMatchObject({ ok: true });
  });

  test("are refused once they are stopped, and nothing runs then", async () => {
    const running = reloads.request("running");
    const waiting = reloads.request("waiting");
    let stopped = false;
    const stop = reloads.stop().then(() => {
      stopped = true;
    });
    await Promise.resolve();
    expect(stopped).toBe(false);
    begun[0]?.resolve();
    expect(await running).toMatchObject({ ok: true });
    expect(await waiting).toMatchObject({ ok: false, problems: [{ message: "is being stopped" }] });
    await stop;
    expect(await reloads.request("late")).toMatchObject({ ok: false });
    expect(begun).toHaveLength(1);
    expect(reloads.count).toBe(1);
  });
});
