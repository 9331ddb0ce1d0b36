import { defineCommand } from "citty";
import { readServeFlags, serveArgs } from "./flags.ts";

export default defineCommand({
  meta: { name: "serve", description: "Balance HTTP traffic over backends" },
  args: serveArgs,
  async run({ rawArgs }) {
    const flags = readServeFlags(rawArgs);
    const [
      { provision },
      { runMaster },
      { createLogger },
      { warnOfUnknownVariables },
      { withTempDir },
    ] = await Promise.all([
      import("../process/provision.ts"),
      import("../process/run-master.ts"),
      import("./logger.ts"),
      import("./environment.ts"),
      import("./temp-dir.ts"),
    ]);
    warnOfUnknownVariables(process.env);
    const code = await withTempDir(async (tempDir, handOver) => {
      const log = createLogger();
      const warn = (message: string): void => log.warn(message);
      const input = { flags, env: process.env, cwd: process.cwd(), tempDir, warn };
      const provisioned = await provision(input);
      const running = runMaster(provisioned, log);
      // It listens for signals by now: one in between would find nobody and leave the folder behind.
      handOver();
      return running;
    });
    process.exit(code);
  },
});
