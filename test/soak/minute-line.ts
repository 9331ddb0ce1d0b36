import type { ProcessSample } from "./processes.ts";
import type { SoakMinute } from "./soak-minute.ts";

/** One line: `minute 3: 61,234 requests, 12 failures: …; master 61 MB 31 fds; workers …; in flight 0, …; 4 reload, …`. */
export function describeMinute(minute: SoakMinute): string {
  const failed = [...minute.failures.values()].reduce((sum, count) => sum + count, 0);
  const causes = failed === 0 ? "" : `: ${counts(minute.failures)}`;
  const counters = Object.entries(minute.counters).map(
    ([name, count]) => `${name} ${count.toLocaleString("en")}`,
  );
  return [
    `minute ${minute.minute}${minute.calm ? " (calm)" : ""}: ${minute.requests.toLocaleString("en")} requests, ${failed} failures${causes}`,
    `master ${describe(minute.master)}`,
    `workers ${minute.workers.map(describe).join(", ")}`,
    counters.join(", "),
    counts(minute.disturbances),
  ].join("; ");
}

function describe({ rssBytes, descriptors }: ProcessSample): string {
  return `${Math.round(rssBytes / 1024 / 1024)} MB ${descriptors} fds`;
}

function counts(of: ReadonlyMap<string, number>): string {
  return [...of].map(([name, count]) => `${count} ${name}`).join(", ");
}
