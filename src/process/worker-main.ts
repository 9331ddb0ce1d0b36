import type { Logger } from "../log.ts";
import type { ExportReport } from "../telemetry/export-watch.ts";
import { knownMethods } from "../telemetry/request-method.ts";
import type { Tracing } from "../telemetry/sdk.ts";
import { createClock } from "./clock.ts";
import { closeGlobals } from "./closed-globals.ts";
import type { StopTimes } from "./listeners.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import { closeObjectPrototype } from "./object-prototype.ts";
import { StrayErrors } from "./stray-errors.ts";
import { BEAT_MS } from "./watchdog.ts";
import { Worker } from "./worker.ts";

/** Makes this process a worker; the master's messages keep it alive from then on. */
export function runWorker(log: Logger, version: string): void {
  // As it is before any strategy is loaded: one could put its own in the place of it, and read the key.
  const send = process.send?.bind(process);
  let key: string | undefined;
  const tell = (message: FromWorker): void => {
    send?.({ ...message, key });
  };
  // Ctrl-C and a service manager's stop reach every process of the group: the master decides.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
  process.on("disconnect", () => process.exit(0));
  // The ordinary log's and the access log's: that it cannot be written is no reason to do anything else.
  process.stderr.on("error", () => {});
  const now = createClock();
  closeGlobals();
  const prototype = closeObjectPrototype();
  setInterval(() => prototype.restore(log), BEAT_MS).unref();
  const strays = new StrayErrors(log, now);
  process.on("unhandledRejection", (reason) => strays.report(reason));
  process.on("uncaughtException", (error) => strays.report(error));

  let worker: Worker | null = null;
  const receive = async (message: Exclude<ToWorker, { type: "stop" }>): Promise<void> => {
    if (message.type === "setup") {
      key = message.setup.key;
      let tracing: Tracing | null = null;
      const { column, telemetry } = message.setup;
      const { traces, knownMethods: methods } = telemetry.config;
      if (traces !== null) {
        const { startTracing } = await import("../telemetry/sdk.ts");
        const report = (exports: ExportReport) =>
          tell({ type: "exports", worker: column, report: exports });
        tracing = startTracing({ ...telemetry, report, log }, traces);
      }
      worker = new Worker({
        setup: message.setup,
        tell,
        tracing,
        knownMethods: knownMethods(methods),
        now,
        log,
      });
      return;
    }
    await worker?.receive(message);
  };
  let stopping = false;
  const stop = async (times: StopTimes): Promise<void> => {
    if (stopping) return;
    stopping = true;
    await worker?.stop(times);
    process.exit(0);
  };
  const fail = (error: unknown): void => {
    log.error("the worker failed", {
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
    tell({ type: "failed", reason: error instanceof Error ? error.message : String(error) });
    process.exit(1);
  };
  // Messages are handled one after the other: a plan must not overtake the setup.
  let queue = Promise.resolve();
  process.on("message", (message: ToWorker) => {
    // At once: the master takes a worker that gives no answer for one that is lost.
    if (message.type === "report" || message.type === "ping")
      void worker?.receive(message).catch(fail);
    // Nor does a stop wait for a plan that takes its time; and who stops takes messages to its end.
    else if (message.type === "stop") void stop(message).catch(fail);
    else queue = queue.then(() => receive(message)).catch(fail);
  });
  tell({ type: "started", version });
}
