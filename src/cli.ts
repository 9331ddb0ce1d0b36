/**
 * Entry of the program. Everything is imported when it is needed: `--version` and `--help` stay fast,
 * and a process that serves traffic does not carry the command line's code.
 */
const args = process.argv.slice(2);

if (args[0] === "__worker") {
  const [{ runWorker }, { createLogger }, { version }] = await Promise.all([
    import("./process/worker-main.ts"),
    import("./cli/logger.ts"),
    import("./version.ts"),
  ]);
  await runWorker(createLogger(), version);
} else if (args[0] === "__shadow") {
  const [{ runShadow }, { createLogger }, { version }] = await Promise.all([
    import("./process/shadow/shadow-main.ts"),
    import("./cli/logger.ts"),
    import("./version.ts"),
  ]);
  runShadow(createLogger(), version);
} else if (args[0] === "__evaluate") {
  await (await import("./process/evaluate-child.ts")).runEvaluation();
} else if (args.length === 1 && (args[0] === "--version" || args[0] === "-v")) {
  const [{ printVersion }, { watchStdout }] = await Promise.all([
    import("./cli/version.ts"),
    import("./cli/output.ts"),
  ]);
  watchStdout();
  printVersion();
} else {
  await (await import("./cli/main.ts")).main(args);
}

// Top-level await needs a module.
export {};
