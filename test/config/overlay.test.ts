import { expect, test } from "bun:test";
import {
  attribute,
  findUnknownVariables,
  mergeSettings,
  overlay,
  type ServeFlags,
} from "../../src/config/overlay.ts";

const place = { cwd: "/home/me", file: "/etc/leastwise.config.ts" };

function lay(raw: unknown, flags: ServeFlags, env: Record<string, string> = {}) {
  return overlay(raw, mergeSettings(flags, env), place);
}

test("backends on the command line make the pool default", () => {
  const { raw, problems } = lay(undefined, {
    backend: ["http://a:1", "http://b:2;weight=3"],
    strategy: "random",
  });
  expect(problems).toEqual([]);
  expect(raw).toEqual({
    pools: {
      default: {
        backends: [{ url: "http://a:1" }, { url: "http://b:2", weight: 3 }],
        strategy: "random",
      },
    },
  });
});

test("a flag wins over its variable, and the variable over the file", () => {
  const file = { workers: 1, admin: { address: "127.0.0.1:1", hosts: ["x"] }, listen: [] };
  const env = { LEASTWISE_WORKERS: "2", LEASTWISE_ADMIN: "127.0.0.1:2" };
  const { raw } = lay(file, { workers: "3" }, env);
  expect(raw).toMatchObject({
    workers: 3,
    admin: { address: "127.0.0.1:2", hosts: ["x"] },
    listen: [],
  });
});

test("a variable holds a list with commas, and an empty one counts as not set", () => {
  const env = { LEASTWISE_LISTEN: "127.0.0.1:1, 127.0.0.1:2", LEASTWISE_WORKERS: "" };
  expect(lay(undefined, {}, env).raw).toEqual({
    listen: [{ address: "127.0.0.1:1" }, { address: "127.0.0.1:2" }],
  });
});

test("a strategy file in a flag is relative to where it is typed", () => {
  const { raw, baseDir } = lay(undefined, { backend: ["http://a"], strategy: "./mine.ts" });
  expect(raw).toMatchObject({ pools: { default: { strategy: "./mine.ts" } } });
  expect(baseDir).toBe("/home/me");
  expect(lay({ pools: {} }, {}).baseDir).toBe("/etc");
});

test("backends or a strategy together with pools in the file are a mistake", () => {
  const { problems } = lay(
    { pools: {} },
    { backend: ["http://a"] },
    { LEASTWISE_STRATEGY: "random" },
  );
  expect(problems).toEqual([
    { path: "--backend", message: expect.stringContaining("pools in /etc/leastwise.config.ts") },
    { path: "LEASTWISE_STRATEGY", message: expect.stringContaining("pools in") },
  ]);
});

test.each(["http://a;wieght=2", "http://a;weight=", "http://a;weight=heavy", "http://a;"])(
  "%s has something else than a weight after the URL",
  (backend) => {
    expect(lay(undefined, { backend: [backend] }).problems).toEqual([
      { path: "--backend", message: expect.stringContaining("allowed ;weight=") },
    ]);
  },
);

test("a problem names the flag or variable that brought the value, else the file's path", () => {
  const { origins } = lay({}, { backend: ["x"], workers: "0" }, { LEASTWISE_LISTEN: "x" });
  const paths = ["pools.default.backends[0].url", "workers", "listen[0].address", "admin.token"];
  expect(paths.map((path) => attribute({ path, message: "" }, origins).path)).toEqual([
    "--backend",
    "--workers",
    "LEASTWISE_LISTEN",
    "admin.token",
  ]);
});

test("a variable of ours with a slip in its name is found", () => {
  const known = { LEASTWISE_LISTEN: "x", LEASTWISE_ADMIN_TOKEN: "x", PATH: "/bin" };
  const env = { LEASTWISE_LISTN: "x", ...known };
  expect(findUnknownVariables(env)).toEqual(["LEASTWISE_LISTN"]);
});
