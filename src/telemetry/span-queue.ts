import { TraceFlags } from "@opentelemetry/api";
import {
  BatchSpanProcessor,
  type ReadableSpan,
  type SpanExporter,
  type SpanProcessor,
} from "@opentelemetry/sdk-trace";
import type { TracesConfig } from "../config/config.ts";
import type { ExportWatch } from "./export-watch.ts";

type ExportResult = Parameters<Parameters<SpanExporter["export"]>[1]>[0];

/** `ExportResultCode.SUCCESS`, an enum of a package that is not ours to import. */
const SUCCESS: ExportResult = { code: 0 };
/** After the first span: whoever set things up wants to see that they work, or why not. */
const FIRST_EXPORT_MS = 200;

/**
 * The SDK's batch processor with a bound on all spans in memory, those that are being sent included:
 * it alone bounds those that wait, and every batch that a slow collector holds comes on top.
 */
export class SpanQueue implements SpanProcessor {
  readonly #batches: BatchSpanProcessor;
  readonly #batch: TracesConfig["batch"];
  readonly #watch: ExportWatch;
  #first = true;
  #held = 0;

  constructor(exporter: SpanExporter, batch: TracesConfig["batch"], watch: ExportWatch) {
    this.#batch = batch;
    this.#watch = watch;
    this.#batches = new BatchSpanProcessor({
      exporter: {
        export: (spans, done) => {
          exporter.export(spans, ({ code }) => {
            this.#held -= spans.length;
            if (code !== SUCCESS.code) watch.lost(spans.length);
            // It would log every failed batch, and has no other use for the answer.
            done(SUCCESS);
          });
        },
        shutdown: () => exporter.shutdown(),
      },
      maxQueueSize: batch.maxQueue,
      maxExportBatchSize: batch.maxBatch,
      scheduledDelayMillis: batch.delayMs,
      exportTimeoutMillis: batch.timeoutMs,
    });
  }

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    if ((span.spanContext().traceFlags & TraceFlags.SAMPLED) === 0) return;
    if (this.#held >= this.#batch.maxQueue) {
      this.#watch.lost(1);
      this.#watch.failed(
        `${this.#held} spans wait, and more come than the collector takes`,
        "keep fewer traces with telemetry.traces.ratio, or raise telemetry.traces.batch.maxQueue",
      );
      return;
    }
    this.#held++;
    this.#batches.onEnd(span);
    if (this.#first) {
      this.#first = false;
      setTimeout(
        () => void this.forceFlush().catch(() => {}),
        Math.min(FIRST_EXPORT_MS, this.#batch.delayMs),
      );
    }
  }

  forceFlush(): Promise<void> {
    return this.#batches.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.#batches.shutdown();
  }
}
