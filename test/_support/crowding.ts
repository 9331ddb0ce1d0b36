import { cpus, loadavg } from "node:os";

/**
 * By how much everything may take longer than on a machine that has time for it: how many processes wait
 * for each processor. For promises of time, which are about such a machine.
 */
export function crowding(): number {
  return Math.max(1, (loadavg()[0] ?? 0) / cpus().length);
}
