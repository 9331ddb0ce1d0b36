/**
 * A backend of the soak, in a process of its own so that it can be killed: `bun soak-backend.ts PORT`.
 * `GET /bytes/N` gives the first N bytes of a text that both sides know, a POST how much came and its checksum.
 */
import { createServer } from "node:net";
import { payload } from "../_support/chaos-plan.ts";

export const MOST_BYTES = 1024 * 1024;

/** What every answer is the beginning of. */
export function soakBytes(): Buffer {
  return payload(1, MOST_BYTES);
}

export interface SoakBackend {
  readonly url: string;
  readonly id: string;
  /** Ends it as a crash does; the port is free afterwards. */
  kill(): Promise<void>;
  /** Resolves when it listens again, on the same port. */
  start(): Promise<void>;
}

/**
 * Below the ports that the kernel gives to outgoing connections, one of which might otherwise take the port while
 * the backend is away.
 */
export async function startSoakBackend(): Promise<SoakBackend> {
  const port = await freeLowPort();
  let child: Bun.Subprocess<"ignore", "pipe", "inherit">;
  const start = async (): Promise<void> => {
    child = Bun.spawn([process.execPath, import.meta.filename, String(port)], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    const { done } = await child.stdout.getReader().read();
    if (done) throw new Error(`the backend on port ${port} did not start`);
  };
  await start();
  return {
    url: `http://127.0.0.1:${port}`,
    id: `127.0.0.1:${port}`,
    start,
    async kill() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

async function freeLowPort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    if (await promise) return port;
  }
  throw new Error("no free port between 20000 and 30000");
}

if (import.meta.main) {
  const bytes = soakBytes();
  Bun.serve({
    hostname: "127.0.0.1",
    port: Number(process.argv[2]),
    development: false,
    async fetch(request) {
      if (request.method === "POST") {
        const body = await request.bytes();
        return new Response(`${body.length} ${Bun.hash.crc32(body)}`);
      }
      const count = Number(new URL(request.url).pathname.split("/").at(-1));
      return new Response(bytes.subarray(0, Number.isSafeInteger(count) ? count : 0));
    },
  });
  console.log("ready");
}
