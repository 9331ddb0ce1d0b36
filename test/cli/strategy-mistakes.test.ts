import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { folderWith } from "../_support/leastwise.ts";

// Every run is one or two processes, and an endless loop is given 5 s.
setDefaultTimeout(30_000);

const good =
  "export default { name: 'mine', apiVersion: 1, create: () => ({ score: (b) => b.inFlight }) };";

/* The file's text, where the mistake is (after the file's name), and what is told. */
const mistakes: readonly (readonly [
  situation: string,
  source: string,
  place: string,
  told: string,
])[] = [
  ["no default export", "export const mine = 1;", ": ", "has no default export"],
  ["a wrong apiVersion", good.replace("1", "2"), ": ", "apiVersion is 2, but"],
  ["a syntax error", "const a = 1;\nexport default {", ":2:", "found end of file"],
  [
    "an import that is not there",
    "\n\nimport './gone.ts';",
    ":3:",
    'Could not resolve: "./gone.ts"',
  ],
  [
    "a throw at top level",
    "interface A { a: 1 }\n\nthrow new Error('not today');",
    ":3:",
    "not today",
  ],
  [
    "a loop at top level",
    "for (;;) {}",
    ": ",
    "did not finish within 5 s: is there an endless loop at top level, in create, or in score or pick?",
  ],
  [
    "a loop in a pick",
    good.replace("b.inFlight", "{ for (;;) {} }"),
    ": ",
    "did not finish within 5 s: is there an endless loop at top level, in create, or in score or pick?",
  ],
  ["an exit at top level", "process.exit(3);", ": ", "ended its process with exit code 3"],
  [
    "a throw after the top level",
    `setTimeout(() => { throw new Error("late"); });\nawait new Promise(() => {});\n${good}`,
    ":1:",
    "late",
  ],
  ["a promise that nobody catches", `${good}\nPromise.reject(new Error("lost"));`, ":2:", "lost"],
  [
    "a macro",
    `import { a } from "./a.ts" with { type: "macro" };\n${good}`,
    ":1",
    "macros are not supported",
  ],
  [
    "a refusal of its options",
    "export default {\n name: 'mine', apiVersion: 1,\n parseOptions: () => { throw new Error('alpha is missing'); },\n create: () => ({ score: () => 1 }),\n};",
    ":3:",
    "alpha is missing",
  ],
];

describe("a strategy file's mistake is told with file, line where there is one, and reason", () => {
  test.each(mistakes)("%s", async (_situation, source, place, told) => {
    await using folder = await folderWith({ "mine.ts": source });
    const args = ["check", "--backend", "http://127.0.0.1:9", "--strategy", "./mine.ts"];
    const { exitCode, stdout, stderr } = await folder.run(args);
    expect(stderr).toContain(`leastwise: 1 problem\n  ${folder.path}/mine.ts${place}`);
    expect(stderr).toContain(told);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  test("a missing file", async () => {
    await using folder = await folderWith({});
    const { exitCode, stderr } = await folder.run([
      "check",
      "--backend=http://127.0.0.1:9",
      "--strategy=./mine.ts",
    ]);
    expect(stderr).toContain(
      `--strategy: found "./mine.ts", but there is no such file in ${folder.path}\n`,
    );
    expect(exitCode).toBe(2);
  });

  test("the options of a built-in are refused where the config gives them", async () => {
    const strategy = { use: "least-connections", options: { alpha: 1 } };
    await using folder = await folderWith({
      "leastwise.config.json": JSON.stringify({
        pools: { web: { backends: ["http://a"], strategy } },
      }),
    });
    const { exitCode, stderr } = await folder.run(["check"]);
    expect(stderr).toContain("  pools.web.strategy.options: least-connections takes no options");
    expect(exitCode).toBe(2);
    const told = await folder.run(["plugin", "check", "p2c", "--options", '{"alpha":1}']);
    expect(told.stdout).toContain("p2c.options: p2c rejects its options: alpha: no such option");
    expect(told.exitCode).toBe(1);
  });
});

test("a strategy beside the config is found from elsewhere, and its options reach it", async () => {
  await using folder = await folderWith({
    "conf/leastwise.config.yaml":
      "pools: {web: {backends: ['http://a'], strategy: {use: ./mine.ts, options: {alpha: 2}}}}",
    "conf/mine.ts": good.replace(
      "create",
      "parseOptions: (raw) => { if (raw.alpha !== 2) throw new Error('no alpha'); return raw; }, create",
    ),
  });
  const { exitCode, stdout, stderr } = await folder.run([
    "check",
    "-c",
    "conf/leastwise.config.yaml",
    "--json",
  ]);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  expect(JSON.parse(stdout).strategies.web).toEqual({
    name: "mine",
    version: expect.stringMatching(/^[0-9a-f]{12}$/),
    source: `${folder.path}/conf/mine.ts`,
  });
});
