import { readFileSync } from "node:fs";
import type { Logger } from "../log.ts";

const SETTING = "net.ipv4.tcp_migrate_req";

/**
 * Connections that wait in the kernel for the listener of a worker that is recycled are reset, unless the kernel
 * (Linux, from 5.14 on) hands them over to another worker's. Says so when it is not told to.
 */
export function warnOfLostConnections(log: Logger, proc = "/proc"): void {
  let value: string;
  try {
    value = readFileSync(`${proc}/sys/${SETTING.replaceAll(".", "/")}`, "utf8");
  } catch {
    // Another system, or a kernel that has no such setting: there is nothing to advise.
    return;
  }
  if (value.trim() !== "0") return;
  log.info("recycling a worker may reset connections that are just being opened", {
    because: `${SETTING} is 0`,
    hint: `sysctl -w ${SETTING}=1`,
  });
}
