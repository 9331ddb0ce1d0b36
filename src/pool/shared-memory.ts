import { randomUUID } from "node:crypto";
import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RuntimeError } from "../errors.ts";

export interface SharedMemory {
  /** All zeros at first. At least as many words as asked for; the memory lives as long as the view. */
  readonly view: Int32Array;
  /** What `openSharedMemory` needs, in this process or another of the same user, until `close`. */
  readonly handle: string;
  /** Nobody can open it any more; views that exist stay valid. May be called twice. */
  close(): void;
}

export interface SharedMemoryPlace {
  /** Tried in order. Default: memory (`/dev/shm`), then the temp folder. */
  readonly folders?: readonly string[];
  /** Where open files can be reopened by number: `/proc`, where there is one. */
  readonly proc?: string;
}

/**
 * Memory that several processes see, in a file that loses its name at once: nobody can find it to
 * truncate it, which would kill every process that has it mapped (SIGBUS), and nothing is left
 * behind when the process is killed. Other processes reach it through the open file's `/proc` entry.
 *
 * Throws RuntimeError when no folder takes the file.
 */
export function createSharedMemory(bytes: number, place: SharedMemoryPlace = {}): SharedMemory {
  const folders = place.folders ?? ["/dev/shm", tmpdir()];
  const refusals: string[] = [];
  for (const folder of folders) {
    const path = join(folder, `leastwise-${process.pid}-${randomUUID()}`);
    try {
      return mapNewFile(path, bytes, place.proc ?? "/proc");
    } catch (error) {
      refusals.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new RuntimeError(`no shared memory of ${bytes} bytes: ${refusals.join("; ")}`);
}

/** Maps memory that another process created. Throws when its creator is gone or has closed it. */
export function openSharedMemory(handle: string): Int32Array {
  return mapFile(handle);
}

function mapNewFile(path: string, bytes: number, proc: string): SharedMemory {
  // "wx" refuses to follow a link that somebody laid in a shared temp folder.
  let fd: number | null = openSync(path, "wx+", 0o600);
  let named = true;
  const close = () => {
    if (named) unlinkSync(path);
    named = false;
    if (fd !== null) closeSync(fd);
    fd = null;
  };
  try {
    fill(fd, bytes);
    const view = mapFile(path);
    const reopened = `${proc}/${process.pid}/fd/${fd}`;
    if (!canOthersReopen(reopened, fd)) return { view, handle: path, close };
    unlinkSync(path);
    named = false;
    return { view, handle: reopened, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Writes zeros instead of setting a length: a full disk must fail here, not as SIGBUS at first use. */
function fill(fd: number, bytes: number): void {
  const zeros = new Uint8Array(64 * 1024);
  let left = Math.ceil(Math.max(bytes, 1) / 8) * 8;
  while (left > 0) left -= writeSync(fd, zeros, 0, Math.min(left, zeros.length));
}

/**
 * The entry has to lead to our file, and to belong to us: that of a process with capabilities on its
 * executable (setcap, to bind port 80) belongs to root, and its own workers may not open it.
 */
function canOthersReopen(entry: string, fd: number): boolean {
  if (!existsSync(entry)) return false;
  const file = fstatSync(fd);
  const reached = statSync(entry);
  if (reached.ino !== file.ino || reached.dev !== file.dev) return false;
  return statSync(join(entry, "..")).uid === process.geteuid?.();
}

function mapFile(path: string): Int32Array {
  const bytes = Bun.mmap(path, { shared: true });
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2);
}
