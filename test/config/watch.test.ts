import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileWatch, foldersOf } from "../../src/config/watch.ts";

let root: string;
let file: string;
let changes: number;
let watch: FileWatch;
let changed: PromiseWithResolvers<void>;

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "leastwise-test-")));
  file = join(root, "mine.ts");
  writeFileSync(file, "one");
  changes = 0;
  changed = Promise.withResolvers();
  watch = createWatch();
});

afterEach(() => {
  watch.stop();
  rmSync(root, { recursive: true, force: true });
});

/** `pollMs`: an hour, so that it is the folders' watches that notice. */
function createWatch(pollMs = 3_600_000): FileWatch {
  return new FileWatch({
    onChange() {
      changes++;
      changed.resolve();
      changed = Promise.withResolvers();
    },
    settleMs: 50,
    pollMs,
  });
}

/** Until the one more change that there is has been told, and for long enough to see a second one. */
async function noticed(): Promise<number> {
  const before = changes;
  await changed.promise;
  await Bun.sleep(150);
  return changes - before;
}

describe("a change of a watched file is noticed once", () => {
  test("when it is written in several steps", async () => {
    watch.update({ files: [file], incomplete: false });
    const told = noticed();
    for (const text of ["", "tw", "two"]) writeFileSync(file, text);
    expect(await told).toBe(1);
    const again = noticed();
    writeFileSync(file, "three");
    expect(await again).toBe(1);
  });

  test("when another file takes its place, each time", async () => {
    watch.update({ files: [file], incomplete: false });
    for (const text of ["two", "three", "four"]) {
      const told = noticed();
      writeFileSync(join(root, "mine.ts.new"), text);
      renameSync(join(root, "mine.ts.new"), file);
      expect(await told).toBe(1);
    }
  });

  test("when a link on the way to it is swapped, as Kubernetes does with a ConfigMap", async () => {
    const folder = join(root, "mounted");
    for (const [name, text] of [
      ["..1", "one"],
      ["..2", "two"],
    ] as const) {
      mkdirSync(join(folder, name), { recursive: true });
      writeFileSync(join(folder, name, "mine.ts"), text);
    }
    symlinkSync("..1", join(folder, "..data"));
    symlinkSync("..data/mine.ts", join(folder, "mine.ts"));
    watch.update({ files: [join(folder, "mine.ts")], incomplete: false });
    const told = noticed();
    symlinkSync("..2", join(folder, "..data.new"));
    renameSync(join(folder, "..data.new"), join(folder, "..data"));
    expect(await told).toBe(1);
    // What it leads to now is watched, too.
    const again = noticed();
    writeFileSync(join(folder, "..2", "mine.ts"), "three");
    expect(await again).toBe(1);
  });

  test("when the folder that it is in is a link to another release", async () => {
    for (const name of ["1", "2"]) {
      mkdirSync(join(root, "releases", name), { recursive: true });
      writeFileSync(join(root, "releases", name, "mine.ts"), name);
    }
    const current = join(root, "current");
    symlinkSync(join(root, "releases/1"), current);
    watch.update({ files: [join(current, "mine.ts")], incomplete: false });
    const told = noticed();
    symlinkSync(join(root, "releases/2"), `${current}.new`);
    renameSync(`${current}.new`, current);
    expect(await told).toBe(1);
  });

  test("when several change together", async () => {
    const other = join(root, "other.ts");
    writeFileSync(other, "one");
    watch.update({ files: [file, other], incomplete: false });
    const told = noticed();
    writeFileSync(file, "two");
    writeFileSync(other, "two");
    expect(await told).toBe(1);
  });

  test("when it goes, and when it comes back", async () => {
    watch.update({ files: [file], incomplete: false });
    const gone = noticed();
    unlinkSync(file);
    expect(await gone).toBe(1);
    const back = noticed();
    writeFileSync(file, "two");
    expect(await back).toBe(1);
  });

  test("when a pipe takes its place, which nobody may wait for, and when it is a file again", async () => {
    watch.update({ files: [file], incomplete: false });
    const piped = noticed();
    unlinkSync(file);
    Bun.spawnSync(["mkfifo", file]);
    expect(await piped).toBe(1);
    const back = noticed();
    unlinkSync(file);
    writeFileSync(file, "two");
    expect(await back).toBe(1);
  });

  test("although a log beside it is written all the time", async () => {
    watch.update({ files: [file], incomplete: false });
    const told = noticed();
    writeFileSync(file, "two");
    const writing = setInterval(() => writeFileSync(join(root, "access.log"), "line"), 10);
    expect(await told).toBe(1);
    clearInterval(writing);
  });

  test("when no folder's watch tells of it: by the poll", async () => {
    watch.stop();
    const folder = join(root, "folder");
    mkdirSync(folder);
    writeFileSync(join(folder, "mine.ts"), "one");
    watch = createWatch(20);
    watch.update({ files: [join(folder, "mine.ts")], incomplete: false });
    // The watch stays with the folder that was there.
    renameSync(folder, `${folder}.old`);
    expect(await noticed()).toBe(1);
    const back = noticed();
    mkdirSync(folder);
    writeFileSync(join(folder, "mine.ts"), "two");
    expect(await back).toBeGreaterThan(0);
  });
});

describe("no change is", () => {
  async function nothingNoticed(): Promise<void> {
    // A change of the file itself ends the wait: by then the others would have been told, too.
    const told = noticed();
    await Bun.sleep(200);
    expect(changes).toBe(0);
    writeFileSync(file, "the end");
    expect(await told).toBe(1);
  }

  test("the same content written again", async () => {
    watch.update({ files: [file], incomplete: false });
    writeFileSync(file, "one");
    await nothingNoticed();
  });

  test("another file beside it", async () => {
    watch.update({ files: [file], incomplete: false });
    writeFileSync(join(root, "other.ts"), "new");
    await nothingNoticed();
  });
});

describe("after a load that failed", () => {
  test("a script beside the files counts, which may be what was missing", async () => {
    watch.update({ files: [file], incomplete: true });
    const told = noticed();
    writeFileSync(join(root, "missing.ts"), "new");
    expect(await told).toBe(1);
    const again = noticed();
    writeFileSync(join(root, "missing.ts"), "better");
    expect(await again).toBe(1);
  });

  test("nothing happens by itself", async () => {
    watch.update({ files: [file], incomplete: true });
    watch.update({ files: [file, join(root, "missing.ts")], incomplete: true });
    await Bun.sleep(200);
    expect(changes).toBe(0);
  });
});

test("a file that was gone at a load and came back before the next look is a change", async () => {
  unlinkSync(file);
  watch.update({ files: [file], incomplete: false });
  const told = noticed();
  writeFileSync(file, "one");
  watch.update({ files: [file], incomplete: false });
  expect(await told).toBe(1);
});

test("what changes between two loads' looks is not lost", async () => {
  watch.update({ files: [file], incomplete: false });
  const told = noticed();
  writeFileSync(file, "two");
  // As after a load that was asked for by somebody else and had read the old content.
  watch.update({ files: [file], incomplete: false });
  expect(await told).toBe(1);
});

test("a file's folders are its own and those of the links on the way", () => {
  mkdirSync(join(root, "a/b"), { recursive: true });
  symlinkSync(join(root, "a"), join(root, "link"));
  symlinkSync("../../mine.ts", join(root, "a/b/file"));
  expect([...foldersOf(join(root, "link/b/file"))].toSorted()).toEqual(
    [root, join(root, "a/b")].toSorted(),
  );
  symlinkSync("loop", join(root, "loop"));
  expect(foldersOf(join(root, "loop"))).toEqual(new Set([root]));
});
