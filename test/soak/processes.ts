/** What the system says of a process. */
import { readdirSync, readFileSync } from "node:fs";

export interface ProcessSample {
  readonly pid: number;
  readonly rssBytes: number;
  readonly descriptors: number;
}

/** Null: it is gone. */
export function sampleProcess(pid: number): ProcessSample | null {
  try {
    const [, kilobytes = "0"] =
      /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    const descriptors = readdirSync(`/proc/${pid}/fd`).length;
    return { pid, rssBytes: Number(kilobytes) * 1024, descriptors };
  } catch {
    return null;
  }
}
