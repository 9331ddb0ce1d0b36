import type { Logger } from "../../log.ts";
import { openSharedMemory } from "../../pool/shared-memory.ts";
import type { WorkerPulse } from "../../pool/worker-pulse.ts";
import { loadPlugin } from "../../strategy/load.ts";
import { createClock } from "../clock.ts";
import { closeGlobals } from "../closed-globals.ts";
import { closeObjectPrototype } from "../object-prototype.ts";
import { StrayErrors } from "../stray-errors.ts";
import { BEAT_MS } from "../watchdog.ts";
import type { FromShadow, ShadowSetup, ToShadow } from "./messages.ts";
import { ShadowMemory } from "./shadow-memory.ts";
import { refusalText, ShadowRunner } from "./shadow-runner.ts";

/** How often the rings are read: long before one that is told of a thousand requests a second is full. */
const READ_MS = 20;

/** Makes this process a shadow: it runs one strategy that places nothing. It ends when its master does. */
export function runShadow(log: Logger, version: string): void {
  // As it is before the strategy is loaded, which could put its own in the place of it.
  const send = process.send?.bind(process);
  const tell = (message: FromShadow): void => {
    send?.(message);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
  process.on("disconnect", () => process.exit(0));
  process.stderr.on("error", () => {});
  const now = createClock();
  closeGlobals();
  const strays = new StrayErrors(log, now);
  process.on("unhandledRejection", (reason) => strays.report(reason));
  process.on("uncaughtException", (error) => strays.report(error));

  let runner: ShadowRunner | null = null;
  const receive = async (message: ToShadow): Promise<void> => {
    if (message.type === "setup") {
      runner = await start(message.setup, now, log, tell);
      if (runner !== null) tell({ type: "running" });
    } else if (message.type === "report") {
      runner?.tick();
      if (runner !== null) tell({ type: "report", id: message.id, figures: runner.figures() });
    } else runner?.receive(message);
  };
  // One after the other: news must not overtake the setup.
  let queue = Promise.resolve();
  process.on("message", (message: ToShadow) => {
    queue = queue
      .then(() => receive(message))
      .catch((error: unknown) => {
        tell({ type: "stopped", reason: `failed: ${refusalText(error)}`, figures: null });
      });
  });
  tell({ type: "started", version });
}

/** Null when the strategy cannot be loaded: that is told. */
async function start(
  setup: ShadowSetup,
  now: () => number,
  log: Logger,
  tell: (message: FromShadow) => void,
): Promise<ShadowRunner | null> {
  const memory = new ShadowMemory(openSharedMemory(setup.plan.handle));
  const pulse = memory.pulse(setup.slot);
  keepBeating(pulse, log);
  const { pool, index } = setup;
  const mark = pulse.callsOf(0);
  try {
    const before = mark.enter("import");
    const plugin = await loadPlugin(setup.strategy.module).finally(() => mark.leave(before));
    const runner = new ShadowRunner({
      setup,
      plugin,
      rings: Array.from({ length: setup.columns }, (_, column) => memory.ring(column)),
      mark,
      beat: () => pulse.beat(),
      now,
      nowNs: () => Bun.nanoseconds(),
      log: labelled(log, { shadow: `${pool}[${index}]` }),
      onStopped: (reason, figures) => tell({ type: "stopped", reason, figures }),
    });
    setInterval(() => runner.tick(), READ_MS);
    return runner;
  } catch (error) {
    const reason = `could not be loaded: ${refusalText(error)}`;
    tell({ type: "stopped", reason, figures: null });
    return null;
  }
}

function keepBeating(pulse: WorkerPulse, log: Logger): void {
  pulse.beat();
  const prototype = closeObjectPrototype();
  setInterval(() => {
    pulse.beat();
    prototype.restore(log);
  }, BEAT_MS);
}

/** What a strategy logs here is not of the one that acts. */
function labelled(log: Logger, label: { readonly shadow: string }): Logger {
  return {
    debug: (message, fields) => log.debug(message, { ...label, ...fields }),
    info: (message, fields) => log.info(message, { ...label, ...fields }),
    warn: (message, fields) => log.warn(message, { ...label, ...fields }),
    error: (message, fields) => log.error(message, { ...label, ...fields }),
  };
}
