import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RuntimeError } from "../errors.ts";

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/**
 * Runs `use` with a folder that only this user can read (mode 0700) and that is gone afterwards,
 * also when a signal ends the process. Who handles signals itself calls `handOver` first, and must
 * then let `use` return.
 *
 * Throws RuntimeError when no folder can be made.
 */
export async function withTempDir<T>(
  use: (folder: string, handOver: () => void) => Promise<T>,
): Promise<T> {
  const folder = await makeFolder();
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  process.on("exit", remove);
  const handlers = Object.entries(SIGNALS).map(([name, code]) => {
    const handler = (): void => process.exit(code);
    process.on(name, handler);
    return { name, handler };
  });
  const handOver = (): void => {
    for (const { name, handler } of handlers) process.off(name, handler);
  };
  try {
    return await use(folder, handOver);
  } finally {
    handOver();
    process.off("exit", remove);
    await rm(folder, { recursive: true, force: true });
  }
}

/** In memory where the usual place takes no files, as in a container with a read-only root. */
async function makeFolder(): Promise<string> {
  const refusals: string[] = [];
  for (const place of [tmpdir(), "/dev/shm"]) {
    try {
      return await mkdtemp(join(place, "leastwise-"));
    } catch (error) {
      refusals.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new RuntimeError(`no temporary folder (TMPDIR names another): ${refusals.join("; ")}`);
}
