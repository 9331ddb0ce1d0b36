/** A backend in a process of its own, so that it can be stopped and continued as a whole (SIGSTOP). */
export interface BackendProcess {
  readonly url: string;
  signal(signal: NodeJS.Signals): void;
  stop(): Promise<unknown>;
}

/** Answers `ok` to everything, over connections that it keeps. */
export async function startBackendProcess(): Promise<BackendProcess> {
  const child = Bun.spawn([process.execPath, import.meta.filename], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const { value } = await child.stdout.getReader().read();
  return {
    url: `http://127.0.0.1:${Number(Buffer.from(value ?? []).toString())}`,
    signal: (signal) => child.kill(signal),
    async stop() {
      // A stopped process takes no other signal.
      child.kill("SIGKILL");
      return child.exited;
    },
  };
}

if (import.meta.main) {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    fetch: () => new Response("ok"),
  });
  console.log(server.port);
}
