import { defineCommand } from "citty";
import { readServeFlags, readWatch, serveArgs, watchArgs } from "./flags.ts";

export default defineCommand({
  meta: { name: "serve", description: "Balance HTTP traffic over backends" },
  args: { ...serveArgs, ...watchArgs },
  async run({ rawArgs, args }) {
    const flags = readServeFlags(rawArgs, watchArgs);
    const watch = readWatch(args.watch, process.env);
    const [
      { provision },
      { runMaster },
      { createLogger },
      { warnOfUnknownVariables },
      { removeAbandoned, withTempDir },
      { countCpus },
    ] = await Promise.all([
      import("../process/provision.ts"),
      import("../process/run-master.ts"),
      import("./logger.ts"),
      import("./environment.ts"),
      import("./temp-dir.ts"),
      import("../config/cpus.ts"),
    ]);
    warnOfUnknownVariables(process.env);
    const code = await withTempDir(async (tempDir, handOver) => {
      const log = createLogger();
      const warn = (message: string): void => log.warn(message);
      for (const left of await removeAbandoned()) {
        log.info("removed what a killed leastwise left", { folder: left });
      }
      // A reload must not find another number of processors: `workers` cannot change.
      const input = {
        flags,
        env: { ...process.env },
        cwd: process.cwd(),
        tempDir,
        warn,
        cpus: countCpus(),
      };
      const files = new Set<string>();
      // Its default action would end the start; what it asks for is under way.
      const ignore = (): void => log.info("SIGHUP is ignored: the start is under way");
      process.on("SIGHUP", ignore);
      const running = runMaster({
        provisioned: await provision({ ...input, onFile: (file) => files.add(file) }),
        provision: (more) => provision({ ...input, ...more }),
        tempDir,
        watch: watch ? files : null,
        log,
      });
      process.off("SIGHUP", ignore);
      // It listens for signals by now: one in between would find nobody and leave the folder behind.
      handOver();
      return running;
    });
    process.exit(code);
  },
});
