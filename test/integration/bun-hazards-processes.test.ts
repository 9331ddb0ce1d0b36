/** What Bun does with child processes, their channel and mapped memory, shown on Bun alone: what we rely on. */
import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const CHILD = join(import.meta.dir, "../_support/ipc-child.ts");
const running: Bun.Subprocess[] = [];

afterEach(async () => {
  for (const child of running) child.kill("SIGKILL");
  await Promise.all(running.splice(0).map(({ exited }) => exited));
});

/** A child with a channel; `messages` is whatever it sent. */
function start(...args: string[]) {
  const messages: unknown[] = [];
  let arrived = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<[code: number | null, signal: number | string | null]>();
  const child = Bun.spawn([process.execPath, CHILD, ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    serialization: "advanced",
    ipc(message) {
      messages.push(message);
      arrived.resolve();
      arrived = Promise.withResolvers();
    },
    onExit: (_child, code, signal) => ended.resolve([code, signal]),
  });
  running.push(child);
  const until = async (count: number): Promise<unknown[]> => {
    while (messages.length < count) await arrived.promise;
    return messages;
  };
  return { child, until, ended: ended.promise };
}

describe("the channel to a child", () => {
  test("keeps messages whole and in order, both ways, large ones too: plans and counts travel on it", async () => {
    const { child, until } = start();
    await until(1);
    const large = "x".repeat(2 ** 20);
    const sent = Array.from({ length: 200 }, (_, index) =>
      index % 50 === 0 ? { index, large, map: new Map([[index, "value"]]) } : { index },
    );
    for (const message of sent) child.send(message);
    const [, ...answers] = await until(201);
    expect(answers).toEqual(sent.map((message, index) => ({ count: index + 1, message })));
  });

  test("throws when it is used after the child's end, and its exit is told once: a worker is replaced", async () => {
    const { child, until, ended } = start();
    await until(1);
    child.kill("SIGKILL");
    expect(await ended).toEqual([null, "SIGKILL"]);
    expect(() => child.send({})).toThrow();
  });

  test("tells the child of its parent's end, even when that was killed: a worker never outlives the master", async () => {
    const parent = Bun.spawn(
      [process.execPath, join(import.meta.dir, "../_support/ipc-parent.ts")],
      {
        stdin: "ignore",
        stdout: "pipe",
        stderr: "inherit",
      },
    );
    running.push(parent);
    const reader = parent.stdout.getReader();
    const { value } = await reader.read();
    expect(Number(Buffer.from(value ?? []).toString())).toBeGreaterThan(0);
    parent.kill("SIGKILL");
    // Written by the child, which has the parent's standard output.
    const last = await reader.read();
    expect(Buffer.from(last.value ?? []).toString()).toBe("disconnected\n");
  });
});

describe("a promise that nobody waits for", () => {
  test("ends a process that has no handler for it: why every process of ours has one", async () => {
    const child = Bun.spawn(
      [process.execPath, "-e", "Promise.reject(new Error('stray')); setInterval(() => {}, 1000)"],
      {
        stdin: "ignore",
        stdout: "ignore",
        stderr: "ignore",
      },
    );
    running.push(child);
    expect(await child.exited).toBe(1);
  });

  test("does not end one that has", async () => {
    const { child, until } = start("reject");
    const [...first] = await until(2);
    expect(first.toSorted()).toEqual(["started", "survived"]);
    child.send("still there?");
    expect((await until(3))[2]).toEqual({ count: 1, message: "still there?" });
  });
});

describe("Bun.mmap", () => {
  function withFile<T>(bytes: number, use: (path: string) => T): T {
    const folder = mkdtempSync(join(tmpdir(), "leastwise-test-"));
    try {
      const path = join(folder, "memory");
      writeFileSync(path, new Uint8Array(bytes));
      return use(path);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  test("maps the same memory twice, atomics included, and keeps it when its file has lost its name", () => {
    withFile(4096, (path) => {
      const [one, other] = [Bun.mmap(path), Bun.mmap(path)].map(
        (bytes) => new Int32Array(bytes.buffer),
      ) as [Int32Array, Int32Array];
      unlinkSync(path);
      Atomics.add(one, 1, 5);
      expect(Atomics.add(other, 1, -2)).toBe(5);
      expect(Atomics.load(one, 1)).toBe(3);
      expect(one.length).toBe(1024);
    });
  });

  test("is an ArrayBuffer, on which nobody can wait: wake-ups go by the channel", () => {
    withFile(4096, (path) => {
      const view = new Int32Array(Bun.mmap(path).buffer);
      expect(view.buffer).toBeInstanceOf(ArrayBuffer);
      expect(() => Atomics.wait(view, 0, 0, 1)).toThrow(TypeError);
    });
  });

  test("refuses an empty file: ours is filled before", () => {
    withFile(0, (path) => {
      expect(() => Bun.mmap(path)).toThrow();
    });
  });
});
