import { type ArgsDef, defineCommand } from "citty";
import { readServeFlags, serveArgs } from "./flags.ts";

const checkArgs = {
  json: { type: "boolean", description: "Print what would run as JSON" },
} as const satisfies ArgsDef;

export default defineCommand({
  meta: { name: "check", description: "Find every mistake; start nothing" },
  args: { ...serveArgs, ...checkArgs },
  async run({ rawArgs, args }) {
    const flags = readServeFlags(rawArgs, checkArgs);
    const [
      { provision },
      { renderSummary, summarise },
      { createLogger },
      { warnOfUnknownVariables },
      { withTempDir },
    ] = await Promise.all([
      import("../process/provision.ts"),
      import("./summary.ts"),
      import("./logger.ts"),
      import("./environment.ts"),
      import("./temp-dir.ts"),
    ]);
    warnOfUnknownVariables(process.env);
    const warn = (message: string): void => createLogger().warn(message);
    const provisioned = await withTempDir((tempDir) =>
      provision({ flags, env: process.env, cwd: process.cwd(), tempDir, warn }),
    );
    process.stdout.write(
      args.json
        ? `${JSON.stringify(summarise(provisioned), null, 2)}\n`
        : renderSummary(provisioned),
    );
  },
});
