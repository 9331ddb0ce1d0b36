import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { folderWith } from "../_support/leastwise.ts";

// Every run is one or two processes, and an endless loop is given 5 s.
setDefaultTimeout(30_000);

type Files = Readonly<Record<string, string>>;

function config(value: unknown): Files {
  return { "leastwise.config.json": JSON.stringify(value) };
}

const web = (pool: object) => config({ pools: { web: { backends: ["http://a:1"], ...pool } } });
const backend = (value: unknown) => web({ backends: [value] });

/* What stderr has to say, all of it, for exit code 2. */
const mistakes: readonly (readonly [
  situation: string,
  args: readonly string[],
  files: Files,
  told: readonly string[],
])[] = [
  [
    "an unknown flag",
    ["--lisen", "x"],
    {},
    ["--lisen: unknown flag, allowed --config, ", 'did you mean "--listen"?'],
  ],
  ["a flag without its value", ["--backend"], {}, ["--backend: needs a value: --backend URL"]],
  [
    "an unknown key",
    [],
    config({ pools: { web: { backends: ["http://a"], healht: {} } } }),
    ["pools.web.healht: unknown key, allowed backends, ", 'did you mean "health"?'],
  ],
  ["a config file that is not there", ["-c", "gone.yaml"], {}, ["gone.yaml: no such file"]],
  [
    "a config file of another kind",
    ["-c", "a.ini"],
    { "a.ini": "" },
    ['a.ini: found ".ini", allowed .ts '],
  ],
  [
    "no backend at all",
    [],
    {},
    ["--backend: no backend is given; name one, such as --backend http://"],
  ],
  [
    "a config file without pools",
    [],
    config({ workers: 1 }),
    ["pools: no backend is given; write pools in ", "leastwise.config.json"],
  ],
  [
    "an empty pool",
    [],
    web({ backends: [] }),
    ["pools.web.backends: found an empty list, allowed at least one backend"],
  ],
  [
    "a backend without scheme",
    [],
    backend("a:1"),
    ['pools.web.backends[0]: found "a:1" (no scheme; perhaps http://a:1)'],
  ],
  [
    "a backend with a path",
    [],
    backend("http://a/b"),
    ['found "http://a/b" (a backend URL has no path), allowed http://host:port or unix:/path'],
  ],
  [
    "a backend with credentials",
    [],
    backend("http://u:pw@a"),
    ['found "http://…@a" (a backend URL has no credentials)'],
  ],
  [
    "a backend flag without scheme",
    ["--backend", "a:1"],
    {},
    ['--backend: found "a:1" (no scheme; perhaps http://a:1)'],
  ],
  [
    "a weight of 0",
    [],
    backend({ url: "http://a", weight: 0 }),
    ["pools.web.backends[0].weight: found 0, allowed a number above 0"],
  ],
  [
    "a negative weight",
    ["--backend", "http://a;weight=-1"],
    {},
    ["--backend: found -1, allowed a number above 0"],
  ],
  [
    "a duplicate id",
    [],
    web({ backends: ["http://a", "http://a"] }),
    ['pools.web.backends[1]: found the id "a:80" (from its URL) a second time'],
  ],
  [
    "a route to an unknown pool",
    [],
    config({ pools: { web: { backends: ["http://a"] } }, routes: [{ pool: "wbe" }] }),
    ['routes[0].pool: found "wbe", allowed web; did you mean "web"?'],
  ],
  [
    "an unknown strategy",
    ["--backend", "http://a", "--strategy", "rund-robin"],
    {},
    [
      '--strategy: found "rund-robin", allowed least-connections, round-robin, random, p2c, peak-ewma, least-time, consistent-hash, or a file',
      'did you mean "round-robin"?',
    ],
  ],
  [
    "a function in a config",
    [],
    {
      "leastwise.config.ts":
        'export default { pools: { web: { backends: ["http://a"], strategy: () => 1 } } };',
    },
    ["pools.web.strategy: is a function; a configuration is plain data"],
  ],
  [
    "a config that is a function",
    [],
    { "leastwise.config.ts": "export default () => ({});" },
    ["leastwise.config.ts: the default export is a function, allowed the object itself"],
  ],
  [
    "a config without default export",
    [],
    { "leastwise.config.ts": "export const config = {};" },
    ["leastwise.config.ts: has no default export"],
  ],
  [
    "a config that throws",
    [],
    { "leastwise.config.ts": 'interface A { a: 1 }\nthrow new Error("not today");' },
    ["leastwise.config.ts:2:11: threw at top level: not today"],
  ],
  [
    "a config that loops",
    [],
    { "leastwise.config.ts": "for (;;) {}" },
    ["the config file: did not finish within 5 s: is there an endless loop at top level?"],
  ],
  [
    "a config that exits",
    [],
    { "leastwise.config.ts": "process.exit(0)" },
    ["the config file: ended its process with exit code 0"],
  ],
  [
    "a mistake in TypeScript",
    [],
    { "leastwise.config.ts": "\nexport default { a: [1, };" },
    ["leastwise.config.ts:2:25: Unexpected }"],
  ],
  [
    "a mistake in JSON",
    [],
    { "leastwise.config.json": '{\n "pools": }' },
    ["leastwise.config.json:2:11: Unexpected }"],
  ],
  [
    "a comment in JSON",
    [],
    { "leastwise.config.json": "{} // x" },
    ["leastwise.config.json:1:4: "],
  ],
  [
    "a mistake in JSONC",
    [],
    { "leastwise.config.jsonc": '{ // x\n "pools": }' },
    ["leastwise.config.jsonc:2:11: Unexpected }"],
  ],
  [
    "a mistake in JSON5",
    [],
    { "leastwise.config.json5": "{\n pools: }" },
    ["leastwise.config.json5:2:9: invalid character"],
  ],
  [
    "a mistake in YAML",
    [],
    { "leastwise.config.yaml": "pools:\n  web: [1\nx: 2" },
    ["leastwise.config.yaml:3:1: missed comma"],
  ],
  [
    "a mistake in TOML",
    [],
    { "leastwise.config.toml": "[pools.web]\nbackends = " },
    ["leastwise.config.toml:2:"],
  ],
  [
    "an empty JSON file",
    [],
    { "leastwise.config.json": "\n" },
    ["leastwise.config.json: is empty, allowed an object"],
  ],
  [
    "an empty YAML file",
    [],
    { "leastwise.config.yaml": "# nothing\n" },
    ["leastwise.config.yaml: is empty, allowed an object"],
  ],
  [
    "backends in a flag and pools in the file",
    ["--backend", "http://b"],
    web({}),
    ["--backend: found together with pools in ", "leastwise.config.json, allowed one of them"],
  ],
  [
    "a mistake in a named file",
    ["-c", "sub/mine.yaml"],
    { "sub/mine.yaml": "pools: {web: {backends: [3]}}" },
    ["pools.web.backends[0]: found 3, allowed a URL or an object"],
  ],
];

describe("each mistake is told by check, with exit code 2 and no stack", () => {
  test.each(mistakes)("%s", async (_situation, args, files, told) => {
    await using folder = await folderWith(files);
    const { exitCode, stdout, stderr } = await folder.run(["check", ...args]);
    for (const text of told) expect(stderr).toContain(text);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
    expect(stderr).toMatch(/^leastwise: 1 problem( in \/.*)?\n {2}/);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(stderr).not.toContain("pw");
  });

  test.each([
    [
      "a command",
      ["chek"],
      'chek: unknown command, allowed serve, check, status, reload, drain, undrain, recycle, explain, demo, plugin, schema, version, help; did you mean "check"?',
    ],
    ["a command to be helped with", ["help", "serv"], "serv: unknown command, allowed serve, "],
    [
      "a flag before the command",
      ["--verion"],
      '--verion: unknown flag; did you mean "--version"?',
    ],
    [
      "a flag of a command without any",
      ["version", "--all"],
      "--all: unknown flag, allowed --help",
    ],
    ["a hidden command's name, nearly", ["__evaluat"], "__evaluat: unknown command"],
    ["a name that every object has", ["constructor"], "constructor: unknown command"],
  ])("%s that does not exist", async (_situation, args, message) => {
    await using folder = await folderWith({});
    const { exitCode, stdout, stderr } = await folder.run(args);
    expect(stderr).toContain(message);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
  });
});

test("mistakes in the keys of a file that nobody named are told with the file", async () => {
  await using folder = await folderWith({
    "leastwise.config.ts": "export default { pools: { web: { backends: [1, 2] } } };",
  });
  const file = `${folder.path}/leastwise.config.ts`;
  const keys = await folder.run(["check"]);
  expect(keys.stderr).toStartWith(`leastwise: 2 problems in ${file}\n  pools.web.backends[0]: `);
  await Bun.write(file, "export default { pools: { web: () => 1 } };");
  const data = await folder.run(["check"]);
  expect(data.stderr).toStartWith(`leastwise: 1 problem in ${file}\n  pools.web: is a function`);
  await Bun.write(file, "export default { pools: { web: { backends: ['http://a'] } } };");
  const flag = await folder.run(["check", "--workers", "0"]);
  expect(flag.stderr).toStartWith("leastwise: 1 problem\n  --workers: ");
});

test("of several config files in one folder it is told which one is used", async () => {
  await using folder = await folderWith({
    ...web({}),
    "leastwise.config.yaml": "",
    "leastwise.config.toml": "",
    "leastwise.config.ts.bak": "",
  });
  const { exitCode, stderr } = await folder.run(["check"]);
  expect(exitCode).toBe(0);
  expect(JSON.parse(stderr)).toMatchObject({
    level: "warn",
    message: `${folder.path}/leastwise.config.json is used; leastwise.config.toml, leastwise.config.yaml beside it are passed over`,
  });
  const named = await folder.run(["check", "-c", "leastwise.config.json"]);
  expect(named.stderr).toBe("");
  const serve = await folder.run(["serve", "--workers", "0"]);
  expect(serve.stderr).toContain("leastwise.config.yaml beside it are passed over");
});

test("where spans go is part of the summary", async () => {
  await using folder = await folderWith(web({}));
  const run = async (env = {}) => (await folder.run(["check"], env)).stdout;
  expect(await run()).toContain("\ntraces   off\n");
  expect(await run({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318" })).toContain(
    "\ntraces   to http://127.0.0.1:4318/v1/traces\n",
  );
});

test("serve tells the same as check, and starts nothing", async () => {
  await using folder = await folderWith({});
  const args = ["--backend", "a:1", "--workers", "0"];
  const [serve, check] = await Promise.all([
    folder.run(["serve", ...args]),
    folder.run(["check", ...args]),
  ]);
  expect(serve.exitCode).toBe(2);
  expect(serve.stderr).toBe(check.stderr.replaceAll("check", "serve"));
});

test("mistakes in flags, file and strategy are told at once", async () => {
  await using folder = await folderWith({
    "leastwise.config.yaml":
      "lisen: []\npools: {web: {backends: [a], strategy: ./mine.ts}}\nroutes: [{pool: wep}]",
    "mine.ts": "\nexport default { name: 'x', apiVersion: 2, create: () => ({}) };",
  });
  const { exitCode, stderr } = await folder.run(["check", "--workers", "0", "--admin", "nowhere"]);
  expect(exitCode).toBe(2);
  const places = stderr.split("\n").map((line) => line.trim().split(": ", 1)[0]);
  expect(places).toEqual([
    "leastwise",
    "pools.web.backends[0]",
    "--admin",
    "--workers",
    "lisen",
    "routes[0].pool",
    `${folder.path}/mine.ts`,
    "Try",
    "",
  ]);
});

test("a variable of ours with a slip in its name is warned about, and is no mistake", async () => {
  await using folder = await folderWith({});
  const env = { LEASTWISE_BACKEND: "http://a:1", LEASTWISE_STRATGY: "random" };
  const { exitCode, stderr } = await folder.run(["check"], env);
  expect(exitCode).toBe(0);
  expect(JSON.parse(stderr)).toMatchObject({
    level: "warn",
    message: 'LEASTWISE_STRATGY is set but means nothing here; did you mean "LEASTWISE_STRATEGY"?',
  });
});

test("LEASTWISE_WATCH is true or false, and the flag wins", async () => {
  await using folder = await folderWith({});
  const env = { LEASTWISE_WATCH: "yes", LEASTWISE_LISTEN: "nowhere" };
  const { exitCode, stderr } = await folder.run(["serve"], env);
  expect(exitCode).toBe(2);
  expect(stderr).toContain('LEASTWISE_WATCH: found "yes", allowed true or false');
  const flagged = await folder.run(["serve", "--no-watch"], env);
  expect(flagged.exitCode).toBe(2);
  expect(flagged.stderr).not.toContain("LEASTWISE_WATCH");
});
