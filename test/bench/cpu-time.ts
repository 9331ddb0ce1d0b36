import { readdir } from "node:fs/promises";

/** `sysconf(_SC_CLK_TCK)`, in which /proc counts; 100 on every Linux that Bun runs on. */
const TICKS_PER_SECOND = 100;

interface ProcessStat {
  readonly parent: number;
  readonly ticks: number;
}

/** Seconds of CPU, user and system, that a process and its descendants have used. Linux only. */
export async function readCpuSeconds(pid: number): Promise<number> {
  const stats = new Map<number, ProcessStat>();
  for (const name of await readdir("/proc")) {
    const stat = /^\d+$/.test(name) ? await readStat(Number(name)) : null;
    if (stat !== null) stats.set(Number(name), stat);
  }
  let ticks = 0;
  for (const [id, stat] of stats) if (isWithin(id, pid, stats)) ticks += stat.ticks;
  return ticks / TICKS_PER_SECOND;
}

function isWithin(id: number, ancestor: number, stats: ReadonlyMap<number, ProcessStat>): boolean {
  for (let at: number | undefined = id; at !== undefined; at = stats.get(at)?.parent) {
    if (at === ancestor) return true;
  }
  return false;
}

/** proc_pid_stat(5): field 4 is the parent, 14 and 15 are the time in user and in system mode. */
async function readStat(pid: number): Promise<ProcessStat | null> {
  try {
    const text = await Bun.file(`/proc/${pid}/stat`).text();
    // The name, field 2, may hold spaces and brackets: count from behind it.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) };
  } catch {
    // Ended between the listing and the reading.
    return null;
  }
}
