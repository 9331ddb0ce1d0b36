import { type ArgsDef, defineCommand } from "citty";

const args = {
  admin: {
    type: "string",
    valueHint: "HOST:PORT",
    description:
      "Where a running leastwise is asked; the config file's, or 127.0.0.1:9900, unless given",
  },
  config: {
    type: "string",
    alias: "c",
    valueHint: "FILE",
    description: "The config file whose strategies are listed",
  },
  json: { type: "boolean", description: "Print everything as JSON" },
} as const satisfies ArgsDef;

export default defineCommand({
  meta: { name: "plugin list", description: "Show the strategies there are" },
  args,
  async run({ args }) {
    const [{ listStrategies, renderList }, { withTempDir }] = await Promise.all([
      import("./strategy-list.ts"),
      import("../temp-dir.ts"),
    ]);
    const { admin, config, json } = args;
    const input = { flags: { admin, config }, env: process.env, cwd: process.cwd() };
    const list = await withTempDir((tempDir) => listStrategies({ ...input, tempDir }));
    process.stdout.write(json ? `${JSON.stringify(list, null, 2)}\n` : renderList(list));
  },
});
