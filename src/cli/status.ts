import { defineCommand } from "citty";
import { adminArgs, readAdminTarget } from "./admin-flags.ts";

export default defineCommand({
  meta: { name: "status", description: "Show a running leastwise" },
  args: { ...adminArgs, json: { type: "boolean", description: "Print everything as JSON" } },
  async run({ args }) {
    const [{ askAdmin }, { readStatus, renderStatus }] = await Promise.all([
      import("../admin/client.ts"),
      import("./status-table.ts"),
    ]);
    const target = await readAdminTarget(args);
    const status = await readStatus((path) => askAdmin(target, path));
    process.stdout.write(args.json ? `${JSON.stringify(status, null, 2)}\n` : renderStatus(status));
  },
});
