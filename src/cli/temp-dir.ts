import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/**
 * Runs `use` with a folder that only this user can read (mode 0700) and that is gone afterwards,
 * also when a signal ends the process. Who handles signals itself calls `handOver` first, and must
 * then let `use` return.
 */
export async function withTempDir<T>(
  use: (folder: string, handOver: () => void) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "leastwise-"));
  const handlers = Object.entries(SIGNALS).map(([name, code]) => {
    const handler = (): void => {
      rmSync(folder, { recursive: true, force: true });
      process.exit(code);
    };
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
    await rm(folder, { recursive: true, force: true });
  }
}
