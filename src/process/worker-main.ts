import type { Logger } from "../log.ts";
import type { RequestObserver } from "../proxy/observer.ts";
import { telemetryWanted } from "../telemetry/wanted.ts";
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
  const now = createClock();
  const strays = new StrayErrors(log, now);
  process.on("unhandledRejection", (reason) => strays.report(reason));
  process.on("uncaughtException", (error) => strays.report(error));

  let worker: Worker | null = null;
  let shutdownTelemetry = async (): Promise<void> => {};
  const receive = async (message: ToWorker): Promise<void> => {
    if (message.type === "setup") {
      let observer: RequestObserver | null = null;
      if (telemetryWanted(process.env)) {
        const { startTelemetry } = await import("../telemetry/sdk.ts");
        const telemetry = await startTelemetry({
          env: process.env,
          version,
          workerId: message.setup.index,
          log,
        });
        observer = telemetry.observer;
        shutdownTelemetry = () => telemetry.shutdown();
      }
      worker = new Worker({ setup: message.setup, tell, observer, now, log });
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
