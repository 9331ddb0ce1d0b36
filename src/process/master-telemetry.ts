import type { TelemetryConfig } from "../config/config.ts";
import type { Logger } from "../log.ts";
import { describeTarget } from "../telemetry/export-targets.ts";
import type { Origin } from "../telemetry/metrics/exposition.ts";
import { createMetricProducer } from "../telemetry/metrics/metric-producer.ts";
import type { Snapshot } from "../telemetry/metrics/snapshot.ts";
import { OutageLog } from "../telemetry/outage-log.ts";
import { resourceAttributes, type ServiceIdentity } from "../telemetry/resource-attributes.ts";
import type { MetricsPush } from "../telemetry/sdk.ts";
import type { ExportTls } from "../telemetry/tls-files.ts";
import type { FromWorker } from "./messages.ts";

export interface MasterTelemetryOptions {
  readonly config: TelemetryConfig;
  readonly service: ServiceIdentity;
  readonly tls: ExportTls;
  readonly snapshot: () => Promise<Snapshot>;
  readonly log: Logger;
}

/** Among the sources of exports; workers count from 0. */
const MASTER = -1;

/** The master's part: it alone pushes metrics, and says for all processes when exports fail. */
export class MasterTelemetry {
  /** Whose metrics they are, wherever they go. */
  readonly origin: Origin;
  readonly #options: MasterTelemetryOptions;
  readonly #outages: OutageLog;
  #push: MetricsPush | null = null;

  constructor(options: MasterTelemetryOptions) {
    const { config, service, log } = options;
    this.#options = options;
    this.origin = {
      resource: resourceAttributes(config, service),
      scope: { name: "leastwise", version: service.version },
    };
    this.#outages = new OutageLog(log, {
      traces: describeTarget(config, "traces"),
      metrics: describeTarget(config, "metrics"),
    });
  }

  receive(message: FromWorker): void {
    if (message.type === "exports") this.#outages.receive(message.worker, message.report);
  }

  workerEnded(worker: number): void {
    this.#outages.gone(worker);
  }

  /** Loads the SDK only when metrics are to be pushed. */
  async start(): Promise<void> {
    const { snapshot } = this.#options;
    const { metrics } = this.#options.config;
    if (metrics === null) return;
    const { startMetrics } = await import("../telemetry/sdk.ts");
    this.#push = startMetrics(
      { ...this.#options, report: (report) => this.#outages.receive(MASTER, report) },
      metrics,
      (resource) => createMetricProducer({ snapshot, scope: this.origin.scope, resource }),
    );
  }

  /** With the totals of workers that have ended, so after them. */
  async stop(): Promise<void> {
    await this.#push?.shutdown();
    this.#push = null;
  }
}
