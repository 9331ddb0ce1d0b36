import { cpus, loadavg } from "node:os";

/**
 * By how much everything may take longer than on a machine that has time for it: how many processes wait
 * for each processor. For promises of time, which are about such a machine.
 */
export function crowding(): number {
  return Math.max(1, (loadavg()[0] ?? 0) / cpus().length);
}

/** Gives the share of time in which the processors had nothing to do since it was made. */
export function watchIdleTime(): () => number {
  const start = processorTimes();
  return () => {
    const now = processorTimes();
    return (now.idle - start.idle) / Math.max(1, now.all - start.all);
  };
}

function processorTimes(): { readonly idle: number; readonly all: number } {
  let [idle, all] = [0, 0];
  for (const { times } of cpus()) {
    idle += times.idle;
    for (const ms of Object.values(times)) all += ms;
  }
  return { idle, all };
}
