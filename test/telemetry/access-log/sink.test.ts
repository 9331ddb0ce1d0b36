import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LogSink, openFileSink } from "../../../src/telemetry/access-log/sink.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "leastwise-test-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function written(sink: LogSink, text: string): Promise<{ code: string | null; count: number }> {
  return new Promise((resolve) => {
    sink.write(Buffer.from(text), (error, count) => resolve({ code: error?.code ?? null, count }));
  });
}

test("a file is appended to, and made for owner and group alone", async () => {
  const path = join(folder, "access.log");
  const [one, two] = await Promise.all([openFileSink(path), openFileSink(path)]);
  expect(await written(one, "one\n")).toEqual({ code: null, count: 4 });
  await written(two, "two\n");
  await written(one, "three\n");
  expect(readFileSync(path, "utf8")).toBe("one\ntwo\nthree\n");
  expect(statSync(path).mode & 0o007).toBe(0);
  for (const sink of [one, two]) sink.close();
});

test("a full disk is an error of the write, not of the process", async () => {
  const sink = await openFileSink("/dev/full");
  expect(await written(sink, "one\n")).toEqual({ code: "ENOSPC", count: 0 });
  sink.close();
});

test("a FIFO that nobody reads takes what fits, refuses the rest, and goes on when somebody reads", async () => {
  const path = join(folder, "fifo");
  expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
  const sink = await openFileSink(path);
  const piece = "x".repeat(sink.batchBytes);
  let bytes = 0;
  for (let code: string | null = null; code === null;) {
    const result = await written(sink, piece);
    ({ code } = result);
    bytes += result.count;
    if (code !== null) expect(code).toBe("EAGAIN");
    expect(bytes).toBeLessThan(16 * 1024 * 1024);
  }
  const reader = await open(path, "r");
  const { bytesRead } = await reader.read(Buffer.alloc(bytes));
  expect(bytesRead).toBeGreaterThan(0);
  expect(await written(sink, "y")).toEqual({ code: null, count: 1 });
  await reader.close();
  sink.close();
});

test("a path that cannot be opened says why", async () => {
  await expect(openFileSink(join(folder, "none", "access.log"))).rejects.toThrow("ENOENT");
  await expect(openFileSink(folder)).rejects.toThrow("EISDIR");
});
