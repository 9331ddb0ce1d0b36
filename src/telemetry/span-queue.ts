import {
  BatchSpanProcessor,
  type SpanExporter,
  type SpanProcessor,
} from "@opentelemetry/sdk-trace";
import type { TracesConfig } from "../config/config.ts";
import { BoundedExporter, SUCCESS } from "./bounded-exporter.ts";
import type { ExportWatch } from "./export-watch.ts";
import type { RecordedSpan } from "./recorded-span.ts";
import type { SpanEncoder } from "./span-encoder.ts";

/** Of spans that wait or are being sent, as OTLP has them; the parts that are being sent come on top. */
const MAX_BYTES = 3 * 1024 * 1024;
/** After the first span: whoever set things up wants to see that they work, or why not. */
const FIRST_EXPORT_MS = 200;
/** A collector that is just too slow takes a whole batch between two overflows: that is no recovery. */
const CALM_MS = 3000;
const FEWER = "keep fewer traces with telemetry.traces.ratio";

/**
 * The SDK's batch processor with a bound on all spans in memory and on their bytes, those that are
 * being sent included: it alone bounds the number of those that wait, and every batch that a slow
 * collector holds comes on top.
 */
export class SpanQueue implements SpanProcessor {
  readonly #batches: BatchSpanProcessor;
  readonly #batch: TracesConfig["batch"];
  readonly #encoder: SpanEncoder;
  readonly #settles: boolean;
  readonly #watch: ExportWatch;
  #first = true;
  #held = 0;
  #heldBytes = 0;
  /** A span did not fit in: none is encoded any more, only to be dropped, until some are sent. */
  #full = false;
  /** Looks whether an overflow is over; null: there is none. */
  #calming: ReturnType<typeof setInterval> | null = null;
  #droppedLately = false;

  /** `settles`: the exporter takes spans as the encoder leaves them. */
  constructor(
    exporter: SpanExporter,
    batch: TracesConfig["batch"],
    watch: ExportWatch,
    encoder: SpanEncoder,
    settles: boolean,
  ) {
    this.#encoder = encoder;
    this.#settles = settles;
    this.#batch = batch;
    this.#watch = watch;
    const bounded = new BoundedExporter(exporter, watch);
    this.#batches = new BatchSpanProcessor({
      exporter: {
        export: (spans, done) => {
          bounded.export(
            // No others come in by `onEnd`.
            spans as RecordedSpan[],
            (sent, bytes) => {
              this.#held -= sent.length;
              this.#heldBytes -= bytes;
              this.#full = false;
            },
            // It would log every failed batch, and has no other use for the answer.
            () => done(SUCCESS),
          );
        },
        shutdown: () => bounded.shutdown(),
      },
      maxQueueSize: batch.maxQueue,
      maxExportBatchSize: batch.maxBatch,
      scheduledDelayMillis: batch.delayMs,
      exportTimeoutMillis: batch.timeoutMs,
    });
  }

  /** Spans that are neither delivered nor given up. */
  get held(): number {
    return this.#held;
  }

  onStart(): void {}

  onEnd(span: RecordedSpan): void {
    if (this.#full || this.#held >= this.#batch.maxQueue) return this.#drop();
    const room = MAX_BYTES - this.#heldBytes;
    const bytes = this.#settles ? this.#encoder.settle(span, room) : this.#encoder.measure(span);
    if (bytes > room) {
      // With nothing to wait for it is just this one that is too long.
      this.#full = this.#held > 0;
      return this.#drop();
    }
    span.heldBytes = bytes;
    this.#held++;
    this.#heldBytes += bytes;
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

  #drop(): void {
    this.#watch.lost(1);
    this.#droppedLately = true;
    if (this.#calming !== null) return;
    this.#calming = setInterval(() => this.#calm(), CALM_MS).unref();
    const { maxQueue } = this.#batch;
    const areMany = this.#held >= maxQueue;
    this.#watch.overflowed(
      `${areMany ? maxQueue : `${MAX_BYTES >> 20} MiB of`} spans wait, and more come than the collector takes`,
      areMany
        ? `${FEWER}, or raise telemetry.traces.batch.maxQueue`
        : `${FEWER}, or set telemetry.traces.limits.attributeLength`,
    );
  }

  #calm(): void {
    const isLow = this.#held <= this.#batch.maxQueue / 2 && this.#heldBytes <= MAX_BYTES / 2;
    if (isLow && !this.#droppedLately) {
      if (this.#calming !== null) clearInterval(this.#calming);
      this.#calming = null;
      this.#watch.drained();
    }
    this.#droppedLately = false;
  }
}
