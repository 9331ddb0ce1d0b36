import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

export interface CpuSources {
  /** Processors that the scheduler may run this process on. */
  readonly affinity: number;
  /** A file's text, or null when it cannot be read. */
  readonly read: (file: string) => string | null;
}

/**
 * What `workers: "auto"` stands for on Linux: the lower of CPU affinity and the cgroup's CPU quota, at least 1.
 *
 * A quota of 1.5 counts as 1: a process tree with more runnable workers than quota is stopped for the
 * rest of each period, which clients see as a long tail of latency.
 */
export function countCpus(sources: CpuSources = systemSources()): number {
  const quota = Math.min(quotaV2(sources.read), quotaV1(sources.read));
  return Math.max(1, Math.floor(Math.min(sources.affinity, quota)));
}

function systemSources(): CpuSources {
  return {
    affinity: availableParallelism(),
    read(file) {
      try {
        return readFileSync(file, "utf8");
      } catch {
        return null;
      }
    },
  };
}

type Read = CpuSources["read"];

/** `cpu.max` holds `max 100000` or `150000 100000`: microseconds per period. */
function quotaV2(read: Read): number {
  return lowest(
    ownGroups(read, (controllers) => controllers === ""),
    (group) => {
      const [quota, period] = read(`/sys/fs/cgroup${group}/cpu.max`)?.trim().split(" ") ?? [];
      return ratio(quota, period);
    },
  );
}

function quotaV1(read: Read): number {
  const groups = ownGroups(read, (controllers) => controllers.split(",").includes("cpu"));
  return lowest(groups, (group) =>
    Math.min(
      ...["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"].map((mount) =>
        ratio(
          read(`${mount}${group}/cpu.cfs_quota_us`)?.trim(),
          read(`${mount}${group}/cpu.cfs_period_us`)?.trim(),
        ),
      ),
    ),
  );
}

/**
 * The process's own group and every group above it, as a quota anywhere on the way counts. In a
 * container the path of `/proc/self/cgroup` may be the host's and not exist; the root then has it.
 */
function ownGroups(read: Read, isWanted: (controllers: string) => boolean): string[] {
  const groups = [""];
  for (const line of read("/proc/self/cgroup")?.split("\n") ?? []) {
    const [, controllers, path] = /^[0-9]+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined || !isWanted(controllers)) continue;
    const parts = path.split("/").filter((part) => part !== "");
    for (let depth = parts.length; depth > 0; depth--)
      groups.push(`/${parts.slice(0, depth).join("/")}`);
  }
  return groups;
}

function lowest(groups: readonly string[], quota: (group: string) => number): number {
  return Math.min(...groups.map(quota));
}

/** No quota is `max` in version 2, -1 in version 1, or a file that is not there. */
function ratio(quota: string | undefined, period: string | undefined): number {
  const value = Number(quota) / Number(period);
  return Number.isFinite(value) && value > 0 ? value : Infinity;
}
