import { countBackends } from "../config/capacity.ts";
import type { Logger } from "../log.ts";
import { createRandom } from "../strategy/random.ts";
import { createClock } from "./clock.ts";
import { Master } from "./master.ts";
import { describeTarget } from "../telemetry/export-targets.ts";
import type { Provisioned } from "./provision.ts";

/** Exit codes of a process that a second signal ended: 128 and the signal's number. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

/**
 * Serves until a signal says stop; resolves with the exit code.
 *
 * Throws RuntimeError or ConfigError when it cannot start; nothing is left running then.
 */
export async function runMaster(provisioned: Provisioned, log: Logger): Promise<number> {
  const { config, strategies, configFile } = provisioned;
  const [seed = 0] = crypto.getRandomValues(new Uint32Array(1));
  const master = new Master({
    config,
    strategies,
    now: createClock(),
    random: createRandom(seed),
    log,
  });
  // Listened for from before the start: a stop that comes early must not leave workers behind.
  const stop = stopOnSignals(master, config.accessLog?.file ?? null, log);
  try {
    await master.start();
  } catch (error) {
    // A start that was called off is no failure.
    if (stop.requested()) return stop.done;
    throw error;
  }
  log.info("ready", {
    listen: master.addresses.join(", "),
    admin: master.adminAddress,
    pid: process.pid,
    workers: config.workers,
    backends: countBackends(config),
    capacity: master.capacity,
    traces: describeTarget(config.telemetry, "traces"),
    metrics: describeTarget(config.telemetry, "metrics"),
    config: configFile,
  });
  return stop.done;
}

interface Stop {
  requested(): boolean;
  /** Resolves with 0 when the first signal's stop is done, or with the signal's code at a second one. */
  readonly done: Promise<number>;
}

/** `logFile`: of the access log; null: there is none. */
function stopOnSignals(master: Master, logFile: string | null, log: Logger): Stop {
  const { promise, resolve } = Promise.withResolvers<number>();
  let stopping = false;
  for (const [signal, code] of Object.entries(SIGNALS)) {
    process.on(signal, () => {
      if (stopping) {
        log.warn("ended at once", { signal });
        master.kill();
        resolve(code);
        return;
      }
      stopping = true;
      log.info("stopping", { signal });
      void master.stop().then(() => {
        log.info("stopped");
        resolve(0);
      });
    });
  }
  // The default action would end the master and every request with it.
  process.on("SIGHUP", () => {
    if (logFile === null) {
      log.warn("SIGHUP is ignored: a changed config needs a restart");
      return;
    }
    log.info("SIGHUP opens the access log anew; a changed config needs a restart", {
      file: logFile,
    });
    master.reopenLogs();
  });
  return { requested: () => stopping, done: promise };
}
