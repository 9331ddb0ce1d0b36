/** `exporter: "console"`: what OpenTelemetry's own would show, written without ever waiting for who reads it. */
import type { PushMetricExporter, ResourceMetrics } from "@opentelemetry/sdk-metrics";
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace";
import { ConsoleOutput } from "./console-output.ts";
import type { ExportWatch } from "./export-watch.ts";

/** `ExportResultCode.SUCCESS`: what is dropped is reported by the watch. */
const DONE = { code: 0 } as const;

export function createConsoleSpanExporter(watch: ExportWatch): SpanExporter {
  const output = new ConsoleOutput(watch, () => watch.lost(1));
  return {
    export(spans, done) {
      void output.print(described(spans), 3).then(() => done(DONE));
    },
    forceFlush: () => output.flush(),
    shutdown: () => output.close(),
  };
}

export function createConsoleMetricExporter(watch: ExportWatch): PushMetricExporter {
  const output = new ConsoleOutput(watch, () => {});
  return {
    export({ scopeMetrics }: ResourceMetrics, done) {
      const metrics = scopeMetrics.flatMap((scope) => scope.metrics);
      const shown = metrics.map(({ descriptor, dataPointType, dataPoints }) => ({
        descriptor,
        dataPointType,
        dataPoints,
      }));
      void output.print(shown, null).then(() => done(DONE));
    },
    forceFlush: () => output.flush(),
    shutdown: () => output.close(),
  };
}

function* described(spans: readonly ReadableSpan[]): Generator<unknown> {
  for (const span of spans) {
    const { traceId, spanId, traceState } = span.spanContext();
    yield {
      resource: { attributes: span.resource.attributes },
      instrumentationScope: span.instrumentationScope,
      traceId,
      parentSpanContext: span.parentSpanContext,
      traceState: traceState?.serialize(),
      name: span.name,
      id: spanId,
      kind: span.kind,
      timestamp: microseconds(span.startTime),
      duration: microseconds(span.duration),
      attributes: span.attributes,
      status: span.status,
      events: span.events,
      links: span.links,
    };
  }
}

function microseconds([seconds, nanoseconds]: readonly [number, number]): number {
  return seconds * 1e6 + nanoseconds / 1e3;
}
