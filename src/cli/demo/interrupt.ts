const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/**
 * Runs `work` and gives it a signal that aborts on Ctrl-C, so that it can end the processes it started.
 * When it has, the exit code is the usual one for the signal and nothing is reported as an error.
 */
export async function interruptible(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const controller = new AbortController();
  let exitCode: number | null = null;
  const handlers = Object.entries(SIGNALS).map(([name, code]) => {
    const handler = () => {
      exitCode ??= code;
      controller.abort();
    };
    process.on(name, handler);
    return { name, handler };
  });
  try {
    await work(controller.signal);
  } catch (error) {
    if (exitCode === null) throw error;
    process.exitCode = exitCode;
  } finally {
    for (const { name, handler } of handlers) process.off(name, handler);
  }
}
