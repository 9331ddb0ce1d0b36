import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createSharedMemory,
  openSharedMemory,
  type SharedMemory,
} from "../../src/pool/shared-memory.ts";

const child = join(import.meta.dir, "../_support/shared-memory-child.ts");
const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

function create(...args: Parameters<typeof createSharedMemory>): SharedMemory {
  const memory = createSharedMemory(...args);
  cleanUps.push(() => memory.close());
  return memory;
}

function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "shared-memory-test-"));
  cleanUps.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function runChild(handle: string): Promise<unknown> {
  const spawned = Bun.spawn([process.execPath, child, handle], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const [text, code] = await Promise.all([new Response(spawned.stdout).text(), spawned.exited]);
  expect(code).toBe(0);
  return JSON.parse(text);
}

describe("memory shared by processes", () => {
  test("starts as zeros and has the words that were asked for", () => {
    const { view } = create(200_000);
    expect(view.length).toBe(50_000);
    expect(view.every((word) => word === 0)).toBe(true);
  });

  test("two other processes see our number and none of their additions is lost", async () => {
    const { view, handle } = create(4096);
    Atomics.store(view, 0, 4711);
    const found = await Promise.all([runChild(handle), runChild(handle)]);
    expect(found).toEqual([
      { found: 4711, words: 1024 },
      { found: 4711, words: 1024 },
    ]);
    expect(Atomics.load(view, 1)).toBe(200_000);
  });

  test("where /proc exists the file has no name any more", () => {
    const folder = emptyFolder();
    create(64, { folders: [folder] });
    expect(readdirSync(folder)).toEqual(existsSync("/proc/self") ? [] : [expect.any(String)]);
  });

  test("without /proc the file keeps its name, only for its owner, until it is closed", async () => {
    const folder = emptyFolder();
    const memory = create(64, { folders: [folder], proc: join(folder, "no-proc") });
    expect(memory.handle).toStartWith(folder);
    expect(statSync(memory.handle).mode & 0o777).toBe(0o600);
    Atomics.store(memory.view, 0, 5);
    expect(await runChild(memory.handle)).toEqual({ found: 5, words: 16 });
    memory.close();
    expect(readdirSync(folder)).toEqual([]);
  });

  test("after close nobody can open it, and views that exist still work", () => {
    const memory = create(64);
    const second = openSharedMemory(memory.handle);
    memory.close();
    memory.close();
    Atomics.store(memory.view, 3, 9);
    expect(Atomics.load(second, 3)).toBe(9);
    expect(() => openSharedMemory(memory.handle)).toThrow();
  });

  test("a folder that takes no file is passed over, and when none does the error names all", () => {
    const folder = emptyFolder();
    const missing = join(folder, "missing");
    expect(create(64, { folders: [missing, folder] }).view.length).toBe(16);
    expect(() => createSharedMemory(64, { folders: [missing, join(folder, "gone")] })).toThrow(
      /no shared memory of 64 bytes: .*missing.*gone/,
    );
  });
});
