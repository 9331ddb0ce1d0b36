import { readdirSync, readFileSync, statSync } from "node:fs";

/** File descriptors of this process. */
export interface Descriptors {
  /** How many may be open (Bun raises the soft limit to the hard one at start). Null: unknown, or no limit. */
  readonly limit: number | null;
  count(): number;
  /** Those that are open, and perhaps some that are not. */
  list(): number[];
}

const FOLDER = "/proc/self/fd";

/** As Linux tells them. */
export function readDescriptors(): Descriptors {
  const limit = readLimit();
  const list = (): number[] => {
    try {
      return readdirSync(FOLDER).map(Number);
    } catch (error) {
      // With none left the folder cannot be read, and all below the limit are open.
      if (limit === null) throw error;
      return Array.from({ length: limit }, (_, descriptor) => descriptor);
    }
  };
  // One system call from Linux 6.2 on; before, the size is 0.
  return { limit, list, count: () => statSync(FOLDER).size || list().length };
}

function readLimit(): number | null {
  try {
    const [, soft] =
      /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
    return soft === undefined ? null : Number(soft);
  } catch {
    return null;
  }
}

/** Of these, for anything but clients and the backends' connections that serve them. */
const MOST_RESERVED = 128;

/**
 * Connections of clients that a process with this many descriptors has room for, when each has a
 * request under way and so a connection to a backend.
 */
export function roomForClients(limit: number): number {
  return Math.floor((limit - Math.min(MOST_RESERVED, Math.floor(limit / 4))) / 2);
}

/** A flood brings some five connections per millisecond: in this time no more than there is room for. */
export function watchIntervalMs(limit: number | null): number {
  return Math.min(100, (limit ?? Number.POSITIVE_INFINITY) / 10);
}
