import { expect, test } from "bun:test";
import { countCpus } from "../../src/config/cpus.ts";

/** A machine with these files and nothing else. */
function machine(affinity: number, files: Readonly<Record<string, string>> = {}): number {
  return countCpus({ affinity, read: (file) => files[file] ?? null });
}

test("without control groups the affinity counts", () => {
  expect(machine(8)).toBe(8);
});

test("a quota below the affinity counts, rounded down", () => {
  const files = {
    "/proc/self/cgroup": "0::/\n",
    "/sys/fs/cgroup/cpu.max": "350000 100000\n",
  };
  expect(machine(8, files)).toBe(3);
});

test("an affinity below the quota counts", () => {
  expect(machine(2, { "/sys/fs/cgroup/cpu.max": "800000 100000" })).toBe(2);
});

test("half a processor is one worker", () => {
  expect(machine(8, { "/sys/fs/cgroup/cpu.max": "50000 100000" })).toBe(1);
});

test("the quota of a group above counts too", () => {
  const files = {
    "/proc/self/cgroup": "0::/system.slice/leastwise.service\n",
    "/sys/fs/cgroup/system.slice/leastwise.service/cpu.max": "max 100000",
    "/sys/fs/cgroup/system.slice/cpu.max": "200000 100000",
  };
  expect(machine(8, files)).toBe(2);
});

test("version 1 keeps quota and period in two files", () => {
  const files = {
    "/proc/self/cgroup": "4:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc\n",
    "/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "400000",
    "/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000",
  };
  expect(machine(8, files)).toBe(4);
});

test("in a container the path of the host does not exist and the root has the quota", () => {
  const files = {
    "/proc/self/cgroup": "4:cpu:/docker/abc\n",
    "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000",
    "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
  };
  expect(machine(8, files)).toBe(2);
});

test("no quota is -1 in version 1 and max in version 2", () => {
  const files = {
    "/sys/fs/cgroup/cpu.max": "max 100000",
    "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
    "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
  };
  expect(machine(8, files)).toBe(8);
});

test("this machine has at least one", () => {
  expect(countCpus()).toBeGreaterThanOrEqual(1);
});
