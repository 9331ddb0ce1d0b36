import type { Logger } from "../log.ts";
import type { RequestObserver } from "../proxy/observer.ts";
import type { ExportReport } from "../telemetry/export-watch.ts";
import { knownMethods } from "../telemetry/request-method.ts";
import { createClock } from "./clock.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import { StrayErrors } from "./stray-errors.ts";
import { Worker } from "./worker.ts";

/** Makes this process a worker; the master's messages keep it alive from then on. */
export function runWorker(log: Logger, version: string): void {
  const tell = (message: FromWorker): void => {
    process.send?.(message);
  };
  // Ctrl-C and a service manager's stop reach every process of the group: the master decides.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
  process.on("disconnect", () => process.exit(0));
  // The ordinary log's and the access log's: that it cannot be written is no reason to do anything else.
  process.stderr.on("error", () => {});
  const now = createClock();
  const strays = new StrayErrors(log, now);
  process.on("unhandledRejection", (reason) => strays.report(reason));
  process.on("uncaughtException", (error) => strays.report(error));

  let worker: Worker | null = null;
  let shutdownTelemetry = async (): Promise<void> => {};
  const receive = async (message: ToWorker): Promise<void> => {
    if (message.type === "setup") {
      let observer: RequestObserver | null = null;
      const { index, telemetry } = message.setup;
      const { traces, knownMethods: methods } = telemetry.config;
      if (traces !== null) {
        const { startTracing } = await import("../telemetry/sdk.ts");
        const report = (exports: ExportReport) =>
          tell({ type: "exports", worker: index, report: exports });
        const tracing = startTracing({ ...telemetry, report, log }, traces);
        observer = tracing.observer;
        shutdownTelemetry = () => tracing.shutdown();
      }
      worker = new Worker({
        setup: message.setup,
        tell,
        observer,
        knownMethods: knownMethods(methods),
        now,
        log,
      });
      return;
    }
    await worker?.receive(message);
    if (message.type === "stop") {
      await shutdownTelemetry();
      process.exit(0);
    }
  };
  // Messages are handled one after the other: a plan must not overtake the setup.
  let queue = Promise.resolve();
  process.on("message", (message: ToWorker) => {
    queue = queue
      .then(() => receive(message))
      .catch((error: unknown) => {
        log.error("the worker failed", {
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        });
        process.exit(1);
      });
  });
  tell({ type: "started", version });
}
