import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A control group of the kernel's, made for a test. */
export interface Cgroup {
  /** From now on the limits hold for this process. */
  add(pid: number): void;
  /** Once its processes have ended, or have been moved away. */
  remove(): Promise<void>;
}

const ROOT = "/sys/fs/cgroup";
const PERIOD_US = 100_000;

/** Null: this machine, or this user, cannot limit memory. */
export function limitMemory(bytes: number): Cgroup | null {
  return limit("memory", {
    v2: ["memory.max", `${bytes}`],
    v1: ["memory.limit_in_bytes", `${bytes}`],
  });
}

/** `share` of one processor. Null as above. */
export function limitCpu(share: number): Cgroup | null {
  const quota = PERIOD_US * share;
  return limit("cpu", {
    v2: ["cpu.max", `${quota} ${PERIOD_US}`],
    v1: ["cpu.cfs_quota_us", `${quota}`],
  });
}

type Setting = readonly [file: string, value: string];

function limit(
  controller: "cpu" | "memory",
  settings: { v1: Setting; v2: Setting },
): Cgroup | null {
  const name = `leastwise-test-${crypto.randomUUID()}`;
  const isV2 = existsSync(join(ROOT, "cgroup.controllers"));
  const folder = join(ROOT, isV2 ? "" : controller, name);
  const [file, value] = isV2 ? settings.v2 : settings.v1;
  try {
    mkdirSync(folder);
  } catch {
    return null;
  }
  try {
    writeFileSync(join(folder, file), value);
  } catch {
    rmdirSync(folder);
    return null;
  }
  return {
    add: (pid) => writeFileSync(join(folder, "cgroup.procs"), `${pid}`),
    async remove() {
      while (readFileSync(join(folder, "cgroup.procs"), "utf8") !== "") await Bun.sleep(5);
      rmdirSync(folder);
    },
  };
}
