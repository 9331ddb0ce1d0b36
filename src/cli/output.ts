/**
 * Whoever reads what a command prints may have enough of it: `leastwise status | head -1`. The command then ends as
 * if all of it had been read, and its exit code says what it has found. It does not die of SIGPIPE as many tools do:
 * with a shell's pipefail, a check that is right would have failed. Where something cannot be written for another
 * reason, the command has.
 */
export function watchStdout(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") return;
    process.stderr.write(`leastwise: cannot write to stdout: ${error.message}\n`);
    process.exitCode = 1;
  });
}

/** What cannot be told there cannot be told. */
export function watchStderr(): void {
  process.stderr.on("error", () => {});
}
