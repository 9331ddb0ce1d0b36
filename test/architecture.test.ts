import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { checkArchitecture } from "./_support/architecture.ts";
import { findImports, findWord } from "./_support/source-imports.ts";

const root = join(import.meta.dir, "..");

async function readSources(): Promise<Map<string, string>> {
  const sources = new Map<string, string>();
  for (const folder of ["src", "plugins"]) {
    const files = new Bun.Glob(`${folder}/**/*.ts`).scan({ cwd: root });
    for await (const file of files) {
      sources.set(file.replaceAll("\\", "/"), await Bun.file(join(root, file)).text());
    }
  }
  return sources;
}

test("the program keeps its own rules of layout", async () => {
  const sources = await readSources();
  // Reading nothing would pass too.
  expect([...sources.keys()]).toContain("src/plugin.ts");
  expect(checkArchitecture(sources)).toEqual([]);
});

describe("a wrong import is named with its file and line", () => {
  const cases: readonly (readonly [
    situation: string,
    file: string,
    source: string,
    problem: string,
  ])[] = [
    [
      "upwards",
      "src/pool/lease.ts",
      '// why\nimport { handle } from "../proxy/handler.ts";',
      "src/pool/lease.ts:2: pool must not know proxy",
    ],
    [
      "upwards, types only",
      "src/errors.ts",
      'import type { Pool } from "./pool/pool.ts";',
      "src/errors.ts:1: errors must not know pool",
    ],
    [
      "upwards, over several lines",
      "src/config/load.ts",
      'import {\n  a,\n  b,\n} from "../strategy/host.ts";',
      "src/config/load.ts:4: config must not know strategy",
    ],
    [
      "upwards, when it is needed only",
      "src/balance/queue.ts",
      'const later = () => import("../health/probe.ts");',
      "src/balance/queue.ts:1: balance must not know health",
    ],
    [
      "upwards, handed on",
      "src/transport/connection.ts",
      'export { run } from "../process/worker.ts";',
      "src/transport/connection.ts:1: transport must not know process",
    ],
    [
      "upwards, in the middle of a type",
      "src/log.ts",
      'export type A = import("./cli/flags.ts").Flags;',
      "src/log.ts:1: log must not know cli",
    ],
    [
      "sideways",
      "src/strategy/host.ts",
      'import { send } from "../transport/connection.ts";',
      "src/strategy/host.ts:1: strategy must not know transport",
    ],
    [
      "into a folder that nobody placed",
      "src/proxy/handler.ts",
      'import { a } from "../common/a.ts";',
      "src/proxy/handler.ts:1: common has no place in the order of layers",
    ],
    [
      "of a strategy, past the table of built-ins",
      "src/proxy/handler.ts",
      'import random from "../../plugins/random.ts";',
      "src/proxy/handler.ts:1: only src/strategy/built-in.ts knows the strategies, not ../../plugins/random.ts",
    ],
    [
      "by a strategy, of a value",
      "plugins/random.ts",
      'import { defineStrategy } from "../src/plugin.ts";',
      "plugins/random.ts:1: a strategy imports types of src/plugin.ts and files beside it, not ../src/plugin.ts",
    ],
    [
      "by a strategy, of the program",
      "plugins/random.ts",
      'import type { PoolBackend } from "../src/pool/backend.ts";',
      "plugins/random.ts:1: a strategy imports types of src/plugin.ts and files beside it, not ../src/pool/backend.ts",
    ],
    [
      "by a strategy, of a package",
      "plugins/random.ts",
      'import { randomInt } from "node:crypto";',
      "plugins/random.ts:1: a strategy imports nothing but types and files beside it: node:crypto",
    ],
    [
      "of OpenTelemetry outside telemetry",
      "src/proxy/handler.ts",
      'import { trace } from "@opentelemetry/api";',
      "src/proxy/handler.ts:1: telemetry is handed in, only src/telemetry/ knows @opentelemetry/api",
    ],
    [
      "of Bun outside the runtime boundary",
      "src/pool/counters.ts",
      'import { mmap } from "bun";',
      "src/pool/counters.ts:1: Bun's own API is used outside the runtime boundary",
    ],
    [
      "or a use of Bun's global there",
      "src/proxy/handler.ts",
      "\nBun.serve({ fetch });",
      "src/proxy/handler.ts:2: Bun's own API is used outside the runtime boundary",
    ],
  ];

  test.each(cases)("%s", (_, file, source, problem) => {
    expect(checkArchitecture(new Map([[file, source]]))).toEqual([problem]);
  });

  test("a cycle, although each import alone goes a right way", () => {
    const sources = new Map([
      ["src/pool/a.ts", 'import { b } from "./b.ts";'],
      ["src/pool/b.ts", 'import type { C } from "./c.ts";'],
      ["src/pool/c.ts", 'import { a } from "./a.ts";'],
    ]);
    expect(checkArchitecture(sources)).toEqual([
      "src/pool/a.ts -> src/pool/b.ts -> src/pool/c.ts -> src/pool/a.ts: the imports form a cycle",
    ]);
  });

  test("what strategies share, outside the host of strategies", () => {
    const source = 'import { ring } from "../../plugins/ring.ts";';
    const sources = new Map([
      ["plugins/ring.ts", "export const ring = [];"],
      ["src/strategy/host.ts", source],
      ["src/proxy/handler.ts", source],
    ]);
    expect(checkArchitecture(sources)).toEqual([
      "src/proxy/handler.ts:1: only src/strategy/ knows plugins/, not ../../plugins/ring.ts",
    ]);
  });

  test("a second file that starts the SDK", () => {
    const source = 'import { NodeSDK } from "@opentelemetry/sdk-node";';
    const sources = new Map([
      ["src/telemetry/sdk.ts", source],
      ["src/telemetry/metrics.ts", source],
    ]);
    expect(checkArchitecture(sources)).toEqual([
      "src/telemetry/sdk.ts, src/telemetry/metrics.ts: only one file may import @opentelemetry/sdk-node",
    ]);
  });
});

test("right imports are let through", () => {
  const sources = new Map([
    [
      "plugins/random.ts",
      'import type { Strategy } from "../src/plugin.ts";\nimport { r } from "./ring.ts";',
    ],
    ["src/strategy/built-in.ts", 'import random from "../../plugins/random.ts";'],
    ["src/process/worker.ts", 'import "../telemetry/sdk.ts";\nBun.mmap("f");'],
    ["src/cli/version.ts", 'import about from "../../package.json" with { type: "json" };'],
  ]);
  expect(checkArchitecture(sources)).toEqual([]);
});

describe("reading imports", () => {
  test("text that only looks like one is not one", () => {
    const source = [
      '// import a from "./comment.ts";',
      '/* import b from "./block.ts"; */',
      'const c = `import c from "./template.ts"; ${d ? `export * from "./inner.ts"` : ""}`;',
      "const e = \"import e from './string.ts'\";",
      'const f = /import "g"/.test(h) ? Array.from("abc") : 4 / 2 / 1;',
      'import real from "./real.ts";',
    ].join("\n");
    expect(findImports(source)).toEqual([{ specifier: "./real.ts", line: 6, typeOnly: false }]);
  });

  test("code inside a template is code", () => {
    expect(findWord("const a = `Bun ${{ b: Bun.version }.b} Bun`;", "Bun")).toEqual([1]);
    expect(findImports('const a = `${await import("./a.ts")}`;')).toHaveLength(1);
  });

  test("an import is of types only when the whole statement is", () => {
    const source = [
      'import type { A } from "./a.ts";',
      'import { type B } from "./b.ts";',
      'export type * from "./c.ts";',
      'import "./d.ts";',
    ].join("\n");
    expect(findImports(source).map((i) => i.typeOnly)).toEqual([true, false, true, false]);
  });
});
