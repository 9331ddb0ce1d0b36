import { closeSync, constants, fstatSync, openSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

const LOCK_EX = 2;
const LOCK_NB = 4;
const NAME = "lock";

/** Says of a folder that its owner lives, for as long as it does: the system takes the lock back at any death. */
export interface FolderLock {
  release(): void;
}

/**
 * Null where there are no such locks; then nobody may take the folder for abandoned. No process ids: another
 * container that has the same folders has other processes.
 */
export async function lockFolder(folder: string): Promise<FolderLock | null> {
  const lock = await openLibrary();
  if (lock === null) return null;
  // Under its name it is locked from the first moment.
  const unnamed = join(folder, `${NAME}.new`);
  const descriptor = openSync(unnamed, "wx", 0o600);
  if (lock(descriptor)) {
    renameSync(unnamed, join(folder, NAME));
    return { release: () => closeSync(descriptor) };
  }
  closeSync(descriptor);
  rmSync(unnamed, { force: true });
  return null;
}

/** Whether its owner is provably gone: a folder that was never locked is nobody's business. */
export async function isAbandoned(folder: string): Promise<boolean> {
  const lock = await openLibrary();
  if (lock === null) return false;
  let descriptor: number;
  try {
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
    descriptor = openSync(join(folder, NAME), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch {
    return false;
  }
  try {
    return fstatSync(descriptor).isFile() && lock(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** flock(2), which Bun (1.4.5) does not have. Children do not get the descriptor, so the lock is this process's. */
async function openLibrary(): Promise<((descriptor: number) => boolean) | null> {
  if (process.platform === "win32") return null;
  const { dlopen } = await import("bun:ffi");
  const musl = process.arch === "arm64" ? "aarch64" : "x86_64";
  const names =
    process.platform === "darwin" ? ["libSystem.B.dylib"] : ["libc.so.6", `libc.musl-${musl}.so.1`];
  for (const name of names) {
    try {
      const { flock } = dlopen(name, {
        flock: { args: ["i32", "i32"], returns: "i32" },
      } as const).symbols;
      return (descriptor) => flock(descriptor, LOCK_EX | LOCK_NB) === 0;
    } catch {
      // The other C library, or none.
    }
  }
  return null;
}
