/** Where the access log goes, and what happens when that takes nothing: requests are served all the same. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { UserConfig } from "../../src/index.ts";
import { type AccessLine, accessLines, accessLinesOf } from "../_support/access-log.ts";
import { leastwiseBinary } from "../_support/binary.ts";
import { useHarness } from "../_support/harness.ts";
import { folderWith } from "../_support/leastwise.ts";
import type { Proxy } from "../_support/proxy.ts";

const { backend, proxy } = useHarness();

let folder = "";
let file = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "leastwise-test-"));
  file = join(folder, "access.log");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function start(workers: number, accessLog: "all" | { file: string; log: "all" }): Promise<Proxy> {
  const { url } = backend();
  return proxy({ config: { workers, pools: { web: { backends: [url] } }, accessLog } });
}

/** Over a connection of its own: the kernel spreads connections over the workers, not requests. */
async function get(front: Proxy, path: string): Promise<void> {
  const response = await fetch(front.url + path, { headers: { connection: "close" } });
  expect(response.status).toBe(200);
  await response.text();
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`never saw ${what}`);
    await Bun.sleep(5);
  }
}

function pathsOf(lines: readonly AccessLine[]): string[] {
  return lines.map(({ path }) => path).toSorted();
}

/** How many lines of the ordinary log have this message. */
function told(front: Proxy, message: string): Record<string, unknown>[] {
  return front
    .log()
    .split("\n")
    .filter((line) => line.includes(message))
    .map((line) => JSON.parse(line));
}

function makeFifo(): string {
  const path = join(folder, "fifo");
  expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
  return path;
}

describe("a file", () => {
  test("is appended to by all workers", async () => {
    appendFileSync(file, '{"message":"request","path":"/before","status":200}\n');
    const front = await start(2, { file, log: "all" });
    const paths = Array.from({ length: 60 }, (_, i) => `/${i}`);
    await Promise.all(paths.map((path) => get(front, path)));
    expect(pathsOf(await accessLinesOf(file, 61))).toEqual(["/before", ...paths].toSorted());
  });

  test("that was moved away is opened anew on SIGHUP, and no line of two workers is lost", async () => {
    const front = await start(2, { file, log: "all" });
    const pids = (await front.workers()).map(({ pid }) => pid);
    const sent: string[] = [];
    const sending = new AbortController();
    const clients = Array.from({ length: 8 }, async (_, client) => {
      for (let i = 0; !sending.signal.aborted; i++) {
        const path = `/${client}-${i}`;
        await get(front, path);
        sent.push(path);
      }
    });
    const moved: string[] = [];
    for (let turn = 0; turn < 5; turn++) {
      const before = sent.length;
      await until("requests", () => sent.length > before + 50);
      const name = `${file}.${turn}`;
      await until("the file", () => existsSync(file));
      renameSync(file, name);
      moved.push(name);
      front.signal("SIGHUP");
      await until("both workers to let go of the old file", () =>
        pids.every((pid) => !opens(pid, name)),
      );
    }
    await until("a line in the last file", () => statSync(file).size > 0);
    sending.abort();
    await Promise.all(clients);
    expect(await front.stop()).toBe(0);
    const lines = [...moved, file].map((name) => accessLines(readFileSync(name, "utf8")));
    expect(pathsOf(lines.flat())).toEqual(sent.toSorted());
    expect(lines.every((each) => each.length > 0)).toBe(true);
  });

  test("that cannot be opened anew is gone on with, and that is said", async () => {
    const front = await start(1, { file, log: "all" });
    await get(front, "/one");
    await accessLinesOf(file, 1);
    const moved = `${file}.1`;
    renameSync(file, moved);
    // A folder in its place.
    expect(Bun.spawnSync(["mkdir", file]).exitCode).toBe(0);
    front.signal("SIGHUP");
    await until("a complaint", () => front.log().includes("goes on in the file before"));
    const [complaint] = told(front, "goes on in the file before");
    expect(complaint).toMatchObject({ level: "error" });
    expect(complaint?.["reason"]).toContain(`cannot write ${file}`);
    await get(front, "/two");
    expect(pathsOf(await accessLinesOf(moved, 2))).toEqual(["/one", "/two"]);
  });

  test("that cannot be written stops the start, with its path and the reason", async () => {
    await using place = await folderWith({
      "leastwise.config.json": JSON.stringify({
        listen: [{ address: "127.0.0.1:0" }],
        admin: { address: "127.0.0.1:0" },
        workers: 1,
        pools: { web: { backends: ["http://127.0.0.1:9"], health: false } },
        accessLog: { file: "logs/access.log" },
      }),
    });
    const { exitCode, stderr } = await place.run(["serve"]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(
      `accessLog.file: cannot write ${join(place.path, "logs/access.log")}: ENOENT`,
    );
    expect(stderr).not.toContain("    at ");
  });

  test("whose folder is gone keeps no worker from taking the place of one that died", async () => {
    const logs = join(folder, "logs");
    mkdirSync(logs);
    const path = join(logs, "access.log");
    const front = await start(1, { file: path, log: "all" });
    await get(front, "/one");
    await accessLinesOf(path, 1);
    rmSync(logs, { recursive: true });
    for (let death = 1; death <= 2; death++) {
      const [worker] = await front.workers();
      process.kill(worker!.pid, "SIGKILL");
      await until("its replacement", () => told(front, "worker replaced").length === death);
      await get(front, `/two-${death}`);
    }
    expect(told(front, "the new worker cannot serve")).toEqual([]);
    await until("a complaint", () => told(front, "access log cannot be written").length === 2);
    expect(told(front, "access log cannot be written")[0]).toMatchObject({
      level: "warn",
      target: path,
      reason: expect.stringContaining("ENOENT"),
    });
    mkdirSync(logs);
    front.signal("SIGHUP");
    expect(pathsOf(await accessLinesOf(path, 1))).toEqual(["/two-2"]);
    await get(front, "/three");
    expect(await front.stop()).toBe(0);
    expect(pathsOf(accessLines(readFileSync(path, "utf8")))).toEqual(["/three", "/two-2"]);
    expect(told(front, "access log is written again")).toHaveLength(1);
  });

  test("has the last lines after a stop, also of requests that the stop broke off", async () => {
    const silent = backend(() => null);
    const front = await proxy({
      config: {
        workers: 1,
        pools: { web: { backends: [silent.url], health: false } },
        accessLog: { file, log: "all" },
        shutdown: { grace: "50ms" },
      },
    });
    const broken = fetch(`${front.url}/broken`).catch(() => null);
    await silent.seen(1);
    expect(await front.stop()).toBe(0);
    await broken;
    expect(pathsOf(accessLines(readFileSync(file, "utf8")))).toEqual(["/broken"]);
  });

  test("has them, too, when a reload has put another in its place meanwhile", async () => {
    // Went wrong: the stop waited for the new one alone, and the process ended before the old one was written.
    const silent = backend(() => null);
    const config = {
      workers: 1,
      pools: { web: { backends: [silent.url], health: false as const } },
      shutdown: { grace: "50ms" },
    };
    const front = await proxy({ config: { ...config, accessLog: { file, log: "all" } } });
    const broken = fetch(`${front.url}/broken`).catch(() => null);
    await silent.seen(1);
    front.configure({ ...config, accessLog: { file: `${file}.next`, log: "all" } });
    expect(await front.reload()).toMatchObject({ ok: true });
    expect(await front.stop()).toBe(0);
    await broken;
    expect(pathsOf(accessLines(readFileSync(file, "utf8")))).toEqual(["/broken"]);
  });
});

describe("what takes nothing", () => {
  test("a full disk: requests are served, and it is said once", async () => {
    const front = await start(1, { file: "/dev/full", log: "all" });
    for (let i = 0; i < 20; i++) await get(front, `/${i}`);
    await until("a complaint", () => front.log().includes("cannot be written"));
    for (let i = 0; i < 20; i++) await get(front, `/${i}`);
    expect(await front.stop()).toBe(0);
    expect(told(front, "cannot be written")).toMatchObject([
      { level: "warn", target: "/dev/full", reason: expect.stringContaining("ENOSPC") },
    ]);
  });

  test("a FIFO that nobody reads: what is dropped is counted, and the rest comes when somebody does", async () => {
    const fifo = makeFifo();
    const front = await start(1, { file: fifo, log: "all" });
    const long = "x".repeat(3000);
    // Above what waits and what the FIFO holds.
    const count = 500;
    for (let i = 0; i < count; i++) await get(front, `/${i}?${long}`);
    const message = "the access log cannot be written";
    await until("a complaint", () => front.log().includes(message));
    const reader = await open(fifo, "r");
    let text = "";
    const reading = (async () => {
      for await (const piece of reader.createReadStream({ encoding: "latin1" })) text += piece;
    })();
    await until("the end of it", () => front.log().includes("the access log is written again"));
    await get(front, "/last");
    expect(await front.stop()).toBe(0);
    await reading;
    const lines = accessLines(text);
    expect(told(front, message)).toHaveLength(1);
    const [recovery] = told(front, "the access log is written again");
    const dropped = recovery?.["droppedLines"] as number;
    expect(dropped).toBeGreaterThan(0);
    expect(lines).toHaveLength(count + 1 - dropped);
    expect(lines.slice(0, -1).map(({ path }) => path)).toEqual(
      Array.from({ length: count - dropped }, (_, i) => `/${i}`),
    );
    expect(lines.at(-1)?.path).toBe("/last");
  });

  test("a FIFO whose reader falls behind again and again: that is said once, and once that it is over", async () => {
    const fifo = makeFifo();
    const reader = await open(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
    const front = await start(1, { file: fifo, log: "all" });
    let text = "";
    const readSome = async (): Promise<void> => {
      const buffer = Buffer.alloc(64 * 1024);
      const { bytesRead } = await reader.read(buffer).catch(() => ({ bytesRead: 0 }));
      text += buffer.toString("latin1", 0, bytesRead);
      if (bytesRead === 0) await Bun.sleep(5);
    };
    const dropped = async (): Promise<number> => {
      const page = await (await fetch(`${front.admin}/metrics`)).text();
      return Number(/^leastwise_access_log_dropped_total\{.*\} (\d+)$/m.exec(page)?.[1]);
    };
    const long = "x".repeat(3000);
    let sent = 0;
    for (let overflow = 1; overflow <= 3; overflow++) {
      const before = await dropped();
      do {
        for (let i = 0; i < 100; i++) await get(front, `/${sent++}?${long}`);
      } while ((await dropped()) === before);
      const last = `/behind-${overflow}`;
      // Whoever reads makes room for one more line.
      while (!text.includes(last)) {
        await readSome();
        await get(front, last);
        sent++;
      }
    }
    expect(told(front, "the access log cannot be written")).toHaveLength(1);
    while (told(front, "the access log is written again").length === 0) await readSome();
    const [recovery] = told(front, "the access log is written again");
    expect(recovery?.["droppedLines"]).toBe(await dropped());
    expect(await front.stop()).toBe(0);
    await reader.close();
    expect(told(front, "the access log")).toHaveLength(2);
  }, 60_000);

  test("a stderr whose reader has stopped: the lines that it gets later are whole", async () => {
    const fifo = makeFifo();
    const reader = await open(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
    const stderr = openSync(fifo, "w");
    const front = await serveOnSockets(stderr);
    closeSync(stderr);
    const long = "x".repeat(3000);
    const count = 600;
    for (let i = 0; i < count; i++) await front.get(`/${i}?${long}`);
    let text = "";
    const reading = (async () => {
      const buffer = Buffer.alloc(64 * 1024);
      for (;;) {
        const { bytesRead, code } = await reader.read(buffer).then(
          ({ bytesRead }) => ({ bytesRead, code: null }),
          (error: NodeJS.ErrnoException) => ({ bytesRead: -1, code: error.code }),
        );
        if (bytesRead === 0) return;
        if (bytesRead > 0) text += buffer.toString("latin1", 0, bytesRead);
        else if (code === "EAGAIN") await Bun.sleep(5);
        else throw new Error(`reading failed: ${code}`);
      }
    })();
    await until("the end of it", () => text.includes("the access log is written again"));
    expect(await front.stop()).toBe(0);
    await reading;
    await reader.close();
    const others = text.split("\n").filter((line) => line.includes('"target":"stderr"'));
    const [complaint, recovery] = others.map((line) => JSON.parse(line));
    expect(others).toHaveLength(2);
    expect(complaint).toMatchObject({ level: "warn" });
    expect(recovery.droppedLines).toBeGreaterThan(0);
    // The first ones are of the wait for the start.
    const lines = accessLines(text).filter(({ query }) => query === long);
    expect(lines).toHaveLength(count - recovery.droppedLines);
  });

  test("a stderr whose reader is gone", async () => {
    const fifo = makeFifo();
    const reader = await open(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
    const stderr = openSync(fifo, "w");
    const front = await serveOnSockets(stderr);
    closeSync(stderr);
    await reader.close();
    const long = "x".repeat(3000);
    for (let i = 0; i < 600; i++) await front.get(`/${i}?${long}`);
    front.hangUp();
    await front.get("/last");
    expect(await front.stop()).toBe(0);
  });

  test("a stderr on a full disk", async () => {
    const full = openSync("/dev/full", "w");
    const front = await serveOnSockets(full);
    closeSync(full);
    for (let i = 0; i < 20; i++) await front.get(`/${i}`);
    // The master writes there, too.
    front.hangUp();
    for (let i = 0; i < 20; i++) await front.get(`/${i}`);
    expect(await front.stop()).toBe(0);
  });
});

test("stderr gets the lines of the errors unless something else is said", async () => {
  const front = await proxy({
    config: { workers: 1, pools: { web: { backends: [backend().url] } } },
  });
  await get(front, "/good");
  const bad = await fetch(`${front.url}/bad`, { headers: { upgrade: "x", connection: "upgrade" } });
  expect(bad.status).toBe(501);
  await front.stop();
  expect(accessLines(front.log())).toMatchObject([
    { path: "/bad", status: 501, error: "upgrade_not_supported" },
  ]);
});

/** Whether a process has a file open. */
function opens(pid: number, path: string): boolean {
  const { ino } = statSync(path);
  const descriptors = `/proc/${pid}/fd`;
  return readdirSync(descriptors).some((name) => {
    try {
      return (
        readlinkSync(join(descriptors, name)).startsWith(folder) &&
        statSync(join(descriptors, name)).ino === ino
      );
    } catch {
      // Closed meanwhile.
      return false;
    }
  });
}

/** The program with that stderr, which cannot tell its ports: it listens on unix sockets. */
async function serveOnSockets(stderr: number) {
  const there = backend();
  const unix = join(folder, "front.sock");
  const config = {
    listen: [{ unix }],
    admin: { address: `unix:${join(folder, "admin.sock")}` },
    workers: 1,
    pools: { web: { backends: [there.url], health: false } },
    accessLog: "all",
  } satisfies UserConfig;
  writeFileSync(join(folder, "leastwise.config.json"), JSON.stringify(config));
  const child = Bun.spawn([await leastwiseBinary(), "serve"], {
    cwd: folder,
    stdin: "ignore",
    stdout: "ignore",
    stderr,
  });
  // The socket is there before somebody listens on it.
  const answers = (): Promise<boolean> =>
    fetch("http://a/start", { unix }).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await answers())) {
    if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}`);
    await Bun.sleep(5);
  }
  return {
    async get(path: string): Promise<void> {
      const response = await fetch(`http://a${path}`, { unix });
      expect(response.status).toBe(200);
      await response.text();
    },
    hangUp: () => child.kill("SIGHUP"),
    stop(): Promise<number> {
      child.kill("SIGTERM");
      return child.exited;
    },
  };
}
