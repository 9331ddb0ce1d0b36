import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { folderWith } from "../_support/leastwise.ts";

// Every run is one or two processes, and an endless loop is given 5 s.
setDefaultTimeout(30_000);

const value = {
  listen: [{ address: "127.0.0.1:8081" }],
  pools: {
    web: {
      backends: ["http://10.0.0.1:3000", { url: "http://10.0.0.2:3000", weight: 2 }],
      strategy: "round-robin",
      timeouts: { connect: "250ms" },
    },
  },
};

const yaml = `listen: [{ address: "127.0.0.1:8081" }]
pools:
  web:
    backends:
      - http://10.0.0.1:3000
      - { url: "http://10.0.0.2:3000", weight: 2 }
    strategy: round-robin
    timeouts: { connect: 250ms }
`;

const toml = `[[listen]]
address = "127.0.0.1:8081"
[pools.web]
backends = ["http://10.0.0.1:3000", { url = "http://10.0.0.2:3000", weight = 2 }]
strategy = "round-robin"
timeouts = { connect = "250ms" }
`;

const json = JSON.stringify(value, null, 2);
const typed = `import { defineConfig, type UserConfig } from "leastwise";
const config: UserConfig = ${json};
export default defineConfig(config);`;
const formats = {
  ts: typed,
  mts: typed,
  js: `import { defineConfig } from "leastwise"; export default defineConfig(${json});`,
  mjs: `export default ${json};`,
  cjs: `module.exports = ${json};`,
  json,
  jsonc: `// a remark\n${json.replace(/\n\}$/, ",\n}")}`,
  json5: `// a remark\n${json.replace('"pools"', "pools")}`,
  yaml,
  yml: yaml,
  toml,
};

describe("every format of the config file gives the same configuration", () => {
  test.each(Object.entries(formats))("%s", async (extension, text) => {
    await using folder = await folderWith({ [`leastwise.config.${extension}`]: text });
    const { exitCode, stdout, stderr } = await folder.run(["check", "--json"]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    const { config, configFile, strategies } = JSON.parse(stdout);
    expect(configFile).toBe(`${folder.path}/leastwise.config.${extension}`);
    expect(strategies.web.name).toBe("round-robin");
    expect(config).toMatchObject({
      listen: [{ address: { hostname: "127.0.0.1", port: 8081 } }],
      pools: [
        {
          name: "web",
          backends: [
            { id: "10.0.0.1:3000", weight: 1 },
            { id: "10.0.0.2:3000", weight: 2 },
          ],
          strategy: { kind: "built-in", name: "round-robin" },
          timeouts: { connectMs: 250, firstByteMs: 60_000 },
        },
      ],
    });
  });
});

test("flags alone are enough", async () => {
  await using folder = await folderWith({});
  const { exitCode, stdout, stderr } = await folder.run([
    "check",
    "--backend",
    "http://10.0.0.1:3000;weight=3,http://10.0.0.2:3000",
    "--backend=http://10.0.0.3:3000",
    "--listen",
    "127.0.0.1:0,unix:/run/lw.sock",
    "--workers=3",
  ]);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  expect(stdout).toStartWith("ok: no config file\n");
  expect(stdout).toContain("listen   127.0.0.1:0, unix:/run/lw.sock with 3 workers\n");
  expect(stdout).toContain("capacity 3 backends over all pools, room for 1027 after reloads\n");
  expect(stdout).toContain("backend  10.0.0.1:3000 at http://10.0.0.1:3000, weight 3\n");
  expect(stdout).toContain("backend  10.0.0.3:3000 at http://10.0.0.3:3000, weight 1\n");
});

test("rc files, package.json, .env and extends do not change anything", async () => {
  await using folder = await folderWith({
    ".leastwiserc": "workers=9",
    "package.json": '{ "leastwise": { "workers": 9 } }',
    ".env": "LEASTWISE_WORKERS=9",
    "leastwise.config.json": json,
  });
  const { stdout } = await folder.run(["check", "--json", "--workers", "1"]);
  expect(JSON.parse(stdout).config.workers).toBe(1);
  await Bun.write(`${folder.path}/leastwise.config.json`, '{ "extends": "./other.json" }');
  const { exitCode, stderr } = await folder.run(["check"]);
  expect(stderr).toContain("extends: unknown key");
  expect(exitCode).toBe(2);
});

test("what a config prints goes to stderr", async () => {
  await using folder = await folderWith({
    "leastwise.config.ts": `console.log("printed"); export default ${json};`,
  });
  const { stdout, stderr } = await folder.run(["check", "--json"]);
  expect(JSON.parse(stdout).config.pools).toHaveLength(1);
  expect(stderr).toBe("printed\n");
});

test("a token is not printed", async () => {
  await using folder = await folderWith({
    "leastwise.config.json": JSON.stringify({ ...value, admin: { token: "secret-token" } }),
  });
  const [text, data] = await Promise.all([folder.run(["check"]), folder.run(["check", "--json"])]);
  expect(text.exitCode + data.exitCode).toBe(0);
  expect(text.stdout + data.stdout).not.toContain("secret-token");
});

test("nothing is left behind in the temporary folder", async () => {
  await using folder = await folderWith({ "tmp/keep": "", "leastwise.config.ts": typed });
  const { exitCode } = await folder.run(["check"], { TMPDIR: `${folder.path}/tmp` });
  expect(exitCode).toBe(0);
  expect(await readdir(`${folder.path}/tmp`)).toEqual(["keep"]);
});

test("schema prints a JSON Schema that names every key", async () => {
  await using folder = await folderWith({});
  const { exitCode, stdout } = await folder.run(["schema"]);
  expect(exitCode).toBe(0);
  expect(Object.keys(JSON.parse(stdout).properties)).toEqual([
    "listen",
    "pools",
    "routes",
    "trustedProxies",
    "clientConnections",
    "requestId",
    "admin",
    "workers",
    "workerMemory",
    "watchdog",
    "shutdown",
    "telemetry",
    "accessLog",
    "$schema",
  ]);
});
