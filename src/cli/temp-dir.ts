import { lstatSync, readdirSync, rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RuntimeError } from "../errors.ts";
import { isAbandoned, lockFolder } from "./folder-lock.ts";

const PREFIX = "leastwise-";
/** What mkdtemp adds is six characters. */
const NAME = new RegExp(`^${PREFIX}[A-Za-z0-9]{6}$`);
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
  // A full disk is reported by who writes what matters.
  const lock = await lockFolder(folder).catch(() => null);
  try {
    return await use(folder, handOver);
  } finally {
    handOver();
    process.off("exit", remove);
    await rm(folder, { recursive: true, force: true });
    lock?.release();
  }
}

/** Removes folders of this user that processes left behind which were killed; says which. Never throws. */
export async function removeAbandoned(): Promise<string[]> {
  const removed: string[] = [];
  for (const place of places()) {
    for (const name of namesIn(place)) {
      const folder = join(place, name);
      try {
        if (!NAME.test(name) || !isOwn(folder) || !(await isAbandoned(folder))) continue;
        rmSync(folder, { recursive: true, force: true });
        removed.push(folder);
      } catch {
        // Another one that starts now has removed it.
      }
    }
  }
  return removed;
}

/** Nobody else can have put anything in there. */
function isOwn(folder: string): boolean {
  const status = lstatSync(folder);
  const others = status.mode & 0o077;
  return status.isDirectory() && status.uid === process.geteuid?.() && others === 0;
}

function namesIn(place: string): string[] {
  try {
    return readdirSync(place);
  } catch {
    return [];
  }
}

function places(): string[] {
  return [...new Set([tmpdir(), "/dev/shm"])];
}

/** In memory where the usual place takes no files, as in a container with a read-only root. */
async function makeFolder(): Promise<string> {
  const refusals: string[] = [];
  for (const place of places()) {
    try {
      return await mkdtemp(join(place, PREFIX));
    } catch (error) {
      refusals.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new RuntimeError(`no temporary folder (TMPDIR names another): ${refusals.join("; ")}`);
}
