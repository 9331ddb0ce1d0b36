import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace";
import type { Logger } from "../log.ts";

type ExportResult = Parameters<Parameters<SpanExporter["export"]>[1]>[0];

/** `ExportResultCode.SUCCESS`, an enum of a package that is not ours to import. */
const SUCCESS: ExportResult = { code: 0 };

/**
 * Reports an outage of the collector once when it begins and once when it is over. The batch
 * processor is told of success either way: it would log every failed batch, and has no other use
 * for the answer (the exporter has retried by then).
 */
export class ReportingExporter implements SpanExporter {
  readonly #exporter: SpanExporter;
  readonly #log: Logger;
  readonly #target: string;
  /** Null while exports succeed. */
  #lostSpans: number | null = null;

  /** `target` says in the log where spans go. */
  constructor(exporter: SpanExporter, log: Logger, target: string) {
    this.#exporter = exporter;
    this.#log = log;
    this.#target = target;
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.#exporter.export(spans, (result) => {
      if (result.code === SUCCESS.code) this.#succeeded();
      else this.#failed(spans.length, result.error);
      done(SUCCESS);
    });
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }

  async forceFlush(): Promise<void> {
    await this.#exporter.forceFlush?.();
  }

  #succeeded(): void {
    if (this.#lostSpans === null) return;
    this.#log.info("spans are exported again", {
      target: this.#target,
      lostSpans: this.#lostSpans,
    });
    this.#lostSpans = null;
  }

  #failed(spans: number, error: Error | undefined): void {
    if (this.#lostSpans === null) {
      this.#log.warn(`spans cannot be exported and are dropped${hint(this.#target)}`, {
        target: this.#target,
        reason: reason(error),
      });
    }
    this.#lostSpans = (this.#lostSpans ?? 0) + spans;
  }
}

function reason(error: Error | undefined): string {
  if (error === undefined) return "unknown";
  const code = "code" in error ? error.code : undefined;
  const text = error.message || error.name;
  return code === undefined || text.includes(String(code)) ? text : `${text} (${String(code)})`;
}

/** The commonest mistake: OTLP over HTTP sent to the gRPC port. */
function hint(target: string): string {
  return URL.canParse(target) && new URL(target).port === "4317"
    ? "; 4317 is usually the gRPC port, HTTP is on 4318"
    : "";
}
