import type { BareFolder } from "./binary.ts";

export interface Serving extends AsyncDisposable {
  readonly url: string;
  /** Host and port of its admin API. */
  readonly admin: string;
  /** As an operator does; resolves with the exit code. */
  stop(): Promise<number>;
}

/** Starts it on free ports; the address it took is in the log line that says it is ready. */
export async function startServing(folder: BareFolder, ...args: string[]): Promise<Serving> {
  const running = await folder.spawn([
    "serve",
    "--listen=127.0.0.1:0",
    "--admin=127.0.0.1:0",
    "--workers=2",
    ...args,
  ]);
  const stop = async (): Promise<number> => {
    running.kill("SIGTERM");
    return await running.exited;
  };
  let log = "";
  const decoder = new TextDecoder();
  for await (const chunk of running.stderr) {
    log += decoder.decode(chunk, { stream: true });
    const ready = /"message":"ready","listen":"([^"]+)".*?"admin":"([^"]+)"/.exec(log);
    if (ready === null) continue;
    return {
      url: `http://${ready[1]}`,
      admin: ready[2] ?? "",
      stop,
      [Symbol.asyncDispose]: async () => void (await stop()),
    };
  }
  throw new Error(`ended before it was ready, exit code ${await running.exited}:\n${log}`);
}
