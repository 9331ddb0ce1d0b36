import { expect, test } from "bun:test";
import type { ArgsDef } from "citty";
import { readArguments } from "../../src/cli/arguments.ts";

const definitions = {
  config: { type: "string", alias: "c", valueHint: "FILE" },
  listen: { type: "string" },
  json: { type: "boolean" },
} as const satisfies ArgsDef;

function read(...args: string[]) {
  const { values, problems } = readArguments(args, definitions, ["listen"]);
  return {
    values: Object.fromEntries(values),
    problems: problems.map(({ path, message }) => `${path}: ${message}`),
  };
}

test("values may follow their flag or be joined to it, and lists keep their order", () => {
  expect(read("--listen", "a", "-c", "file", "--listen=b", "--json")).toEqual({
    values: { listen: ["a", "b"], config: ["file"], json: ["true"] },
    problems: [],
  });
});

test("an unknown flag is one mistake, also when a value follows it", () => {
  expect(read("--lisen", "a").problems).toEqual([
    '--lisen: unknown flag, allowed --config, --listen, --json, --help; did you mean "--listen"?',
  ]);
});

test.each(["--port", "-p"])("%s was meant to be --listen", (flag) => {
  expect(read(flag, "8080").problems).toEqual([
    expect.stringMatching(/^-.*: unknown flag, .*; did you mean "--listen"\?$/),
  ]);
});

test.each([
  ["nofile.ts", "--config nofile.ts"],
  ["./conf/lw.yaml", "--config ./conf/lw.yaml"],
  ["http://127.0.0.1:3001", "--backend http://127.0.0.1:3001"],
  ["127.0.0.1:3001", "--backend http://127.0.0.1:3001"],
  ["unix:/run/app.sock", "--backend unix:/run/app.sock"],
])("%s without its flag was meant to be %s", (typed, meant) => {
  const flags = { config: { type: "string" }, backend: { type: "string" } } as const;
  expect(readArguments([typed], flags).problems).toEqual([
    { path: typed, message: `unexpected argument; did you mean ${meant}?` },
  ]);
});

test.each([[["--config"]], [["--config", "--json"]], [["--config="]], [["-c"]]])(
  "%j lacks a value",
  (args) => {
    expect(read(...args).problems).toEqual([
      expect.stringMatching(/^-.*: needs a value: -.* FILE$/),
    ]);
  },
);

test("a flag that takes one value is refused a second time", () => {
  expect(read("-c", "a", "--config", "b").problems).toEqual([
    "--config: given more than once, allowed once",
  ]);
});

test("a word that belongs to no flag is refused, and nothing after -- is read", () => {
  expect(read("stray", "--", "--unknown").problems).toEqual([
    "stray: unexpected argument; values follow their flag",
  ]);
});

test("a switch takes no value", () => {
  expect(read("--json=maybe").problems).toEqual(['--json: found "maybe", allowed no value']);
});
