/** File descriptors of this process, as Linux tells. */
import { readdirSync, readFileSync, statSync } from "node:fs";

const FOLDER = "/proc/self/fd";

/** How many may be open (Bun raises the soft limit to the hard one at start). Null: unknown, or no limit. */
export function descriptorLimit(): number | null {
  try {
    const [, soft] =
      /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
    return soft === undefined ? null : Number(soft);
  } catch {
    return null;
  }
}

/** Those that may be open: with none left the folder cannot be read, and all below the limit are. */
export function openDescriptors(limit: number | null): number[] {
  try {
    return readdirSync(FOLDER).map(Number);
  } catch (error) {
    if (limit === null) throw error;
    return Array.from({ length: limit }, (_, descriptor) => descriptor);
  }
}

export function countDescriptors(limit: number | null): number {
  // One system call from Linux 6.2 on; before, the size is 0.
  return statSync(FOLDER).size || openDescriptors(limit).length;
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
