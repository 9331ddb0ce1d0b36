import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RuntimeError } from "../../src/errors.ts";
import { StrategyFiles } from "../../src/process/strategy-files.ts";

let root: string;
let folder: string;
let bundle: string;
let files: StrategyFiles;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "leastwise-test-"));
  folder = join(root, "private");
  bundle = join(folder, "mine-abc.mjs");
  mkdirSync(folder, { mode: 0o700 });
  writeFileSync(bundle, "export default 1");
  writeFileSync(join(folder, "tsconfig.json"), "{}");
  files = new StrategyFiles();
  const description = { name: "mine", version: "abc", source: "/mine.ts" };
  files.keep([
    { module: { kind: "file", source: "/mine.ts", path: bundle, version: "abc" }, description },
    { module: { kind: "built-in", name: "random" }, description },
  ]);
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

describe("the strategies' files", () => {
  test("are there again after the temp folder was emptied", () => {
    rmSync(root, { recursive: true });
    files.restore();
    expect(readFileSync(bundle, "utf8")).toBe("export default 1");
    expect(readFileSync(join(folder, "tsconfig.json"), "utf8")).toBe("{}");
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });

  test("are written where they are missing only", () => {
    const before = statSync(bundle).mtimeMs;
    rmSync(join(folder, "tsconfig.json"));
    files.restore();
    expect(statSync(bundle).mtimeMs).toBe(before);
    expect(readFileSync(join(folder, "tsconfig.json"), "utf8")).toBe("{}");
  });

  test("are no pipes, for which the master would wait for ever", () => {
    const pipe = join(folder, "pipe.mjs");
    Bun.spawnSync(["mkfifo", pipe]);
    const description = { name: "mine", version: "abc", source: "/mine.ts" };
    const module = { kind: "file", source: "/mine.ts", path: pipe, version: "abc" } as const;
    expect(() => files.keep([{ module, description }])).toThrow("a bundle is a regular file");
  });

  test("are all that is left of the bundles that edits have made", () => {
    for (const name of ["mine-old.mjs", "leastwise-config-ts-1.mjs"]) {
      writeFileSync(join(folder, name), "export default 2");
    }
    files.removeOthers(folder);
    expect(readdirSync(folder).toSorted()).toEqual(["mine-abc.mjs", "tsconfig.json"]);
    rmSync(folder, { recursive: true });
    files.removeOthers(folder);
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    expect(() => files.removeOthers(folder)).toThrow(RuntimeError);
  });

  test("are kept although their files are gone by then", () => {
    rmSync(bundle);
    const module = { kind: "file", source: "/mine.ts", path: bundle, version: "abc" } as const;
    files.keep([{ module, description: { name: "mine", version: "abc", source: "/mine.ts" } }]);
    files.restore();
    expect(readFileSync(bundle, "utf8")).toBe("export default 1");
  });

  test("are not put where others may write", () => {
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    expect(() => files.restore()).toThrow(RuntimeError);
  });
});
