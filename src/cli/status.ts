import { defineCommand } from "citty";

export default defineCommand({
  meta: { name: "status", description: "Show a running leastwise" },
  args: {
    admin: {
      type: "string",
      valueHint: "HOST:PORT",
      description: "Its admin address; the config file's, or 127.0.0.1:9900, unless given",
    },
    config: {
      type: "string",
      alias: "c",
      valueHint: "FILE",
      description: "The config file that names the admin address",
    },
    json: { type: "boolean", description: "Print everything as JSON" },
  },
  async run({ args }) {
    const [{ askAdmin }, { findAdmin }, { readStatus, renderStatus }, { withTempDir }] =
      await Promise.all([
        import("../admin/client.ts"),
        import("../process/find-admin.ts"),
        import("./status-table.ts"),
        import("./temp-dir.ts"),
      ]);
    const { admin, config } = args;
    const target = await withTempDir((tempDir) =>
      findAdmin({ flags: { admin, config }, env: process.env, cwd: process.cwd(), tempDir }),
    );
    const status = await readStatus((path) => askAdmin(target, path));
    process.stdout.write(args.json ? `${JSON.stringify(status, null, 2)}\n` : renderStatus(status));
  },
});
