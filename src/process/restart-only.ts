import type { Config } from "../config/config.ts";
import type { Problem } from "../errors.ts";

/** What a reload cannot change: processes, shared memory and exporters are made for it at the start. */
export function findRestartProblems(before: Config, after: Config): Problem[] {
  const problems: Problem[] = [];
  if (after.workers !== before.workers) {
    const message = `found ${after.workers} while ${before.workers} run; needs a restart`;
    problems.push({ path: "workers", message });
  }
  for (const path of ["admin", "telemetry"] as const) {
    if (Bun.deepEquals(before[path], after[path])) continue;
    // Not what was found: a token may be part of it, and what a collector knows us by.
    const message = "found other settings than those that were there at the start; needs a restart";
    problems.push({ path, message });
  }
  return problems;
}
