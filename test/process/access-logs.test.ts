import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AccessLogConfig } from "../../src/config/config.ts";
import { RuntimeError } from "../../src/errors.ts";
import { AccessLogs } from "../../src/process/access-logs.ts";
import type { RequestObserver } from "../../src/proxy/observer.ts";
import { accessLines } from "../_support/access-log.ts";
import { requestEnd, requestFacts } from "../_support/observed-facts.ts";
import { RecordedLog } from "../_support/recorded-log.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "leastwise-test-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function start() {
  const log = new RecordedLog();
  const told = { dropped: 0 };
  const onDropped = () => void told.dropped++;
  return { log, told, logs: new AccessLogs({ now: () => performance.now(), log, onDropped }) };
}

function toFile(name: string): AccessLogConfig {
  const file = join(folder, name);
  return { log: "all", file, format: "json", redactQuery: [], requestHeaders: [] };
}

function request(observer: RequestObserver | undefined, target: string) {
  return observer?.requestStarted(requestFacts({ target }));
}

function pathsIn(name: string): string[] {
  const file = join(folder, name);
  return existsSync(file) ? accessLines(readFileSync(file, "utf8")).map(({ path }) => path) : [];
}

/** The files of this test that this process has open. */
function openFiles(): string[] {
  return readdirSync("/proc/self/fd")
    .flatMap((name) => {
      try {
        return [readlinkSync(`/proc/self/fd/${name}`)];
      } catch {
        // The one that the folder was read with.
        return [];
      }
    })
    .filter((path) => path.startsWith(folder))
    .map((path) => path.slice(folder.length + 1));
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await Bun.sleep(2);
}

test("a plan with the same access log goes on with it", async () => {
  const { logs } = start();
  const first = await logs.prepare(toFile("a"));
  logs.commit(first);
  expect(await logs.prepare(toFile("a"))).toBe(first);
  logs.abort(first);
  request(first?.observer, "/one")?.ended(requestEnd());
  await logs.close();
  expect(pathsIn("a")).toEqual(["/one"]);
});

test("one that is replaced still gets the requests that it was told of, and is closed then", async () => {
  const { logs } = start();
  const first = await logs.prepare(toFile("a"));
  logs.commit(first);
  const slow = request(first?.observer, "/slow");
  const second = await logs.prepare(toFile("b"));
  logs.commit(second);
  request(second?.observer, "/next")?.ended(requestEnd());
  await until(() => pathsIn("b").length === 1);
  expect(openFiles().toSorted()).toEqual(["a", "b"]);
  slow?.ended(requestEnd());
  await until(() => openFiles().join() === "b");
  expect(pathsIn("a")).toEqual(["/slow"]);
  await logs.close();
});

test("one whose plan is called off is closed, and the one before stays", async () => {
  const { logs } = start();
  const first = await logs.prepare(toFile("a"));
  logs.commit(first);
  logs.abort(await logs.prepare(toFile("b")));
  await until(() => openFiles().join() === "a");
  logs.abort(null);
  request(first?.observer, "/one")?.ended(requestEnd());
  await logs.close();
  expect(pathsIn("a")).toEqual(["/one"]);
  await until(() => openFiles().length === 0);
});

test("a stop waits a moment for requests that are just ending, and not for those that never do", async () => {
  const { logs } = start();
  const current = await logs.prepare(toFile("a"));
  logs.commit(current);
  request(current?.observer, "/never");
  const ending = request(current?.observer, "/ending");
  const closed = logs.close();
  ending?.ended(requestEnd());
  await closed;
  expect(pathsIn("a")).toEqual(["/ending"]);
});

test("a stop writes the last lines of one that was replaced or called off, too", async () => {
  // Went wrong: they were collected for a moment, in which the process ended.
  const { logs, told } = start();
  const first = await logs.prepare(toFile("a"));
  logs.commit(first);
  const [ended, ending] = ["/ended", "/ending"].map((path) => request(first?.observer, path));
  logs.commit(await logs.prepare(toFile("b")));
  const third = await logs.prepare(toFile("c"));
  request(third?.observer, "/of a plan that was called off")?.ended(requestEnd());
  logs.abort(third);
  ended?.ended(requestEnd());
  setTimeout(() => ending?.ended(requestEnd()), 20);
  await logs.close();
  expect(pathsIn("a")).toEqual(["/ended", "/ending"]);
  expect(pathsIn("c")).toEqual(["/of a plan that was called off"]);
  await until(() => openFiles().length === 0);
  expect(told.dropped).toBe(0);
});

test("a rotation reaches one that was replaced and still has a request", async () => {
  const { logs } = start();
  const first = await logs.prepare(toFile("a"));
  logs.commit(first);
  const slow = request(first?.observer, "/slow");
  logs.commit(await logs.prepare(toFile("b")));
  renameSync(join(folder, "a"), join(folder, "a.1"));
  await logs.reopen(null);
  slow?.ended(requestEnd());
  await logs.close();
  expect([pathsIn("a.1"), pathsIn("a")]).toEqual([[], ["/slow"]]);
});

test("one that ends while it is being opened anew leaves no file open", async () => {
  const { logs } = start();
  logs.commit(await logs.prepare(toFile("a")));
  const reopened = logs.reopen(null);
  logs.commit(null);
  await reopened;
  await logs.close();
  await until(() => openFiles().length === 0);
});

test("off is off, and one that cannot be written is an error with its path", async () => {
  const { logs } = start();
  expect(await logs.prepare(null)).toBeNull();
  logs.commit(null);
  await logs.reopen(null);
  await logs.close();
  const refused = logs.prepare(toFile("none/a"));
  await expect(refused).rejects.toThrow(RuntimeError);
  await expect(refused).rejects.toThrow(`accessLog.file: cannot write ${join(folder, "none/a")}`);
});

test("of a plan that is in force it is waited for: lines wait, too, and it is said once", async () => {
  const { logs, log } = start();
  const current = await logs.prepare(toFile("none/a"), true);
  logs.commit(current);
  request(current?.observer, "/before")?.ended(requestEnd());
  await logs.reopen(null);
  mkdirSync(join(folder, "none"));
  await until(() => pathsIn("none/a").length === 1);
  request(current?.observer, "/after")?.ended(requestEnd());
  await logs.close();
  expect(pathsIn("none/a")).toEqual(["/before", "/after"]);
  expect(log.messages).toEqual([
    "the access log cannot be written: a little waits, the rest is dropped",
    "the access log is written again",
  ]);
  expect(log.lines[0]?.fields).toMatchObject({
    target: join(folder, "none/a"),
    reason: expect.stringContaining("ENOENT"),
  });
});

test("one that is waited for in vain ends with its plan", async () => {
  const { logs } = start();
  logs.commit(await logs.prepare(toFile("none/a"), true));
  logs.commit(null);
  mkdirSync(join(folder, "none"));
  // Longer than until the next try.
  await Bun.sleep(1200);
  expect(openFiles()).toEqual([]);
});

test("each line that is lost is told", async () => {
  const { logs, log, told } = start();
  expect(Bun.spawnSync(["mkfifo", join(folder, "fifo")]).exitCode).toBe(0);
  const current = await logs.prepare(toFile("fifo"));
  logs.commit(current);
  expect(told.dropped).toBe(0);
  const target = `/${"x".repeat(4000)}`;
  for (let i = 0; i < 1000; i++) request(current?.observer, target)?.ended(requestEnd());
  expect(told.dropped).toBeGreaterThan(100);
  expect(log.messages).toEqual([
    "the access log cannot be written: a little waits, the rest is dropped",
  ]);
  await logs.close();
});
