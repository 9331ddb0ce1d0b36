import { readFileSync } from "node:fs";

/** What the kernel tells of another process. */
export interface ProcessUsages {
  /** Null when it is gone, or where there is no `/proc`. */
  memoryOf(pid: number): ProcessMemory | null;
  /** Time that its main thread has computed, in milliseconds, to a hundredth of a second. Null as above. */
  cpuOf(pid: number): number | null;
}

export interface ProcessMemory {
  /** Resident. */
  readonly bytes: number;
  /** Of the main thread: `R` runs or waits for a processor, `S` sleeps, `T` is stopped … (proc_pid_stat(5)). */
  readonly state: string;
}

/** As Linux tells it. */
export const processUsages: ProcessUsages = {
  memoryOf(pid) {
    const text = read(`/proc/${pid}/status`);
    const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(text) ?? [];
    const [, state] = /^State:\s+(\S)/m.exec(text) ?? [];
    // A process that has ended and whose end nobody has been told yet has no memory.
    if (kilobytes === undefined || state === undefined) return null;
    return { bytes: Number(kilobytes) * 1024, state };
  },
  cpuOf(pid) {
    // Of the thread: those of the garbage collector compute while the main thread may be well.
    const text = read(`/proc/${pid}/task/${pid}/stat`);
    // The name of the program is in brackets and may hold anything.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const ticks = Number(fields[USER_TIME]) + Number(fields[SYSTEM_TIME]);
    return Number.isNaN(ticks) ? null : ticks * MS_PER_TICK;
  },
};

/** Counted from the state, the third field. */
const USER_TIME = 14 - 3;
const SYSTEM_TIME = 15 - 3;
/** The same on every machine: the kernel converts to it (USER_HZ). */
const MS_PER_TICK = 10;

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
