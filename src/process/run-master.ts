import { countBackends } from "../config/capacity.ts";
import type { Logger } from "../log.ts";
import { createRandom } from "../strategy/random.ts";
import { createClock } from "./clock.ts";
import { warnOfLostConnections } from "./lost-connections.ts";
import { Master } from "./master.ts";
import { describeTarget } from "../telemetry/export-targets.ts";
import type { Provisioned, ProvisionInput } from "./provision.ts";
import { ProvisionWatch } from "./provision-watch.ts";

/** Exit codes of a process that a second signal ended: 128 and the signal's number. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

export interface RunOptions {
  readonly provisioned: Provisioned;
  /** The same again, from the files as they are then. */
  readonly provision: (more: Pick<ProvisionInput, "signal" | "onFile">) => Promise<Provisioned>;
  /** Where the strategies' bundles are. */
  readonly tempDir: string;
  /** What was provisioned was made of these; a change to them brings a reload. Null: it does not. */
  readonly watch: ReadonlySet<string> | null;
  readonly log: Logger;
}

/**
 * Serves until a signal says stop; resolves with the exit code.
 *
 * Throws RuntimeError or ConfigError when it cannot start; nothing is left running then.
 */
export async function runMaster(options: RunOptions): Promise<number> {
  const { provisioned, provision, tempDir, log } = options;
  const { config, configFile } = provisioned;
  const [seed = 0] = crypto.getRandomValues(new Uint32Array(1));
  const watch = options.watch === null ? null : new ProvisionWatch(options.watch);
  const master = new Master({
    provisioned,
    provision: (signal) =>
      watch === null ? provision({ signal }) : watch.provision(provision, signal),
    tempDir,
    now: createClock(),
    random: createRandom(seed),
    log,
  });
  // Listened for from before the start: a stop that comes early must not leave workers behind.
  const stop = obeySignals(master, log);
  watch?.start(() => void master.reload("changed files"));
  try {
    await master.start();
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
    warnOfLostConnections(log);
    return await stop.done;
  } catch (error) {
    // A start that was called off is no failure.
    if (stop.requested()) return await stop.done;
    throw error;
  } finally {
    watch?.stop();
  }
}

interface Stop {
  requested(): boolean;
  /** Resolves with 0 when the first signal's stop is done, or with the signal's code at a second one. */
  readonly done: Promise<number>;
}

function obeySignals(master: Master, log: Logger): Stop {
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
  process.on("SIGHUP", () => {
    // Whoever rotates logs waits for this, and not for strategies that are tried out.
    master.reopenLogs();
    void master.reload("SIGHUP");
  });
  return { requested: () => stopping, done: promise };
}
