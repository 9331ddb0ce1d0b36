/**
 * Starts the OpenTelemetry SDK. The only file that imports `@opentelemetry/sdk-node`; it is itself
 * imported only by a process that has something to send.
 */
import {
  context,
  type ContextManager,
  diag,
  DiagLogLevel,
  metrics,
  ROOT_CONTEXT,
  trace,
} from "@opentelemetry/api";
import { defaultResource, type Resource, resourceFromAttributes } from "@opentelemetry/resources";
import {
  type MetricProducer,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
} from "@opentelemetry/sdk-metrics";
import { NodeSDK } from "@opentelemetry/sdk-node";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace";
import type {
  MetricsConfig,
  SdkLogLevel,
  TelemetryConfig,
  TracesConfig,
} from "../config/config.ts";
import type { Logger } from "../log.ts";
import type { RequestObserver } from "../proxy/observer.ts";
import { createConsoleMetricExporter, createConsoleSpanExporter } from "./console-exporters.ts";
import { createDiagLog } from "./diag-log.ts";
import { type ExportReport, ExportWatch } from "./export-watch.ts";
import { createMetricExporter, createSpanExporter } from "./otlp-exporter.ts";
import { RecordingLimits } from "./recording-limits.ts";
import { knownMethods } from "./request-method.ts";
import { resourceAttributes, type ServiceIdentity } from "./resource-attributes.ts";
import { SpanEncoder } from "./span-encoder.ts";
import { SpanQueue } from "./span-queue.ts";
import { SpanRecorder } from "./span-recorder.ts";
import type { ExportTls } from "./tls-files.ts";
import { createTracingObserver } from "./tracing-observer.ts";

/*
 * What is not delivered by then is dropped: the SDK alone would try for 8 s when nobody listens.
 * Workers send their spans first, the master the totals after them: together 3 s.
 */
const SPANS_SHUTDOWN_MS = 2_000;
const METRICS_SHUTDOWN_MS = 1_000;
/** Of the time for spans: a stop breaks requests off, and they end a moment later. */
const LAST_REQUESTS_MS = 1_000;

export interface TelemetryOptions {
  readonly config: TelemetryConfig;
  readonly service: ServiceIdentity;
  readonly tls: ExportTls;
  /** Told when exports begin to fail and when they work again. */
  readonly report: (report: ExportReport) => void;
  readonly log: Logger;
}

export interface Tracing {
  /** `redactQuery`: keys of the query whose values are secrets, beside those of the conventions. */
  createObserver(redactQuery: readonly string[]): RequestObserver;
  /** Begins to send what waits: a shutdown is about to come. */
  flush(): void;
  /**
   * Delivers what is left and the spans of requests that are just ending, for 2 s at most, less what
   * has passed since `flush`, and never rejects. An exporter that still waits for its collector keeps
   * timers running: the process has to be ended, it does not run out by itself.
   */
  shutdown(passedMs?: number): Promise<void>;
}

/** For a worker: spans, and no instrumentation of modules. */
export function startTracing(options: TelemetryOptions, traces: TracesConfig): Tracing {
  const { config, service, tls, report, log } = options;
  const watch = new ExportWatch("traces", report);
  const { target, batch } = traces;
  const encoder = new SpanEncoder();
  const exporter =
    target === null
      ? createConsoleSpanExporter(watch)
      : createSpanExporter(target, tls.traces, watch, encoder);
  const isProtobuf = target !== null && target.protocol !== "http/json";
  const queue = new SpanQueue(exporter, batch, watch, encoder, isProtobuf);
  const sdk = startSdk(options, { spanProcessors: [queue], metricReaders: [] });
  const recorder = new SpanRecorder({
    sampler: samplerOf(traces),
    resource: resourceOf(options),
    scope: { name: "leastwise", version: service.version },
    limits: new RecordingLimits(traces.limits),
    onEnd: (span) => queue.onEnd(span),
  });
  const { propagate, trust } = config;
  const methods = knownMethods(config.knownMethods);
  return {
    createObserver: (redactQuery) =>
      createTracingObserver({ recorder, knownMethods: methods, propagate, trust, redactQuery }),
    flush: () => void queue.forceFlush().catch(() => {}),
    async shutdown(passedMs = 0) {
      const startedMs = performance.now() - passedMs;
      await recorder.closed(LAST_REQUESTS_MS);
      const reason = await shutdown(sdk, startedMs, SPANS_SHUTDOWN_MS);
      const lostSpans = queue.held + watch.untold;
      if (reason !== null) log.warn("the last spans were not exported", { reason, lostSpans });
      else if (lostSpans > 0) log.warn("spans were not exported", { lostSpans });
    },
  };
}

export interface MetricsPush {
  /** Sends the last totals, for 1 s at most, and never rejects. */
  shutdown(): Promise<void>;
}

/** For the master: it alone pushes, for the whole tree of processes. */
export function startMetrics(
  options: TelemetryOptions,
  metricsConfig: MetricsConfig,
  createProducer: (resource: Resource) => MetricProducer,
): MetricsPush {
  const watch = new ExportWatch("metrics", options.report);
  const { target, intervalMs, timeoutMs } = metricsConfig;
  const exporter =
    target === null
      ? createConsoleMetricExporter(watch)
      : quietly(createMetricExporter(target, options.tls.metrics, watch));
  const reader = new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis: intervalMs,
    exportTimeoutMillis: timeoutMs,
    metricProducers: [createProducer(resourceOf(options))],
  });
  const sdk = startSdk(options, { spanProcessors: [], metricReaders: [reader] });
  // At once: a collector that cannot be reached is not to be found out a minute later.
  reader.forceFlush().catch(() => {});
  return {
    async shutdown() {
      const reason = await shutdown(sdk, performance.now(), METRICS_SHUTDOWN_MS);
      if (reason !== null) options.log.warn("the last metrics were not exported", { reason });
    },
  };
}

type Parts = Pick<
  ConstructorParameters<typeof NodeSDK>[0] & object,
  "spanProcessors" | "metricReaders"
>;

/** Everything is given: what is left out the SDK would read from the environment by itself. */
function startSdk(options: TelemetryOptions, parts: Parts): NodeSDK {
  const logger = createDiagLog(options.log, () => performance.now());
  const logLevel = LEVELS[options.config.logLevel];
  const sdk = new NodeSDK({
    ...parts,
    logRecordProcessors: [],
    resource: resourceOf(options),
    // The host and process detectors would send the command line and paths.
    autoDetectResources: false,
    contextManager: explicitContext,
    textMapPropagator: null,
  });
  // After the constructor: with OTEL_LOG_LEVEL set it brings a logger that writes to the console.
  diag.setLogger(logger, { logLevel, suppressOverrideMessage: true });
  sdk.start();
  return sdk;
}

/** Until `limitMs` after the start. Null when all is done, else why not. */
async function shutdown(sdk: NodeSDK, startedMs: number, limitMs: number): Promise<string | null> {
  const { promise: late, resolve } = Promise.withResolvers<string>();
  const leftMs = Math.max(0, startedMs + limitMs - performance.now());
  const timer = setTimeout(() => resolve(`no answer within ${limitMs} ms`), leftMs);
  const stopped = sdk.shutdown().then(
    () => null,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  const failure = await Promise.race([stopped, late]);
  clearTimeout(timer);
  trace.disable();
  metrics.disable();
  context.disable();
  diag.disable();
  return failure;
}

function resourceOf({ config, service }: TelemetryOptions): Resource {
  return defaultResource().merge(resourceFromAttributes(resourceAttributes(config, service)));
}

/** The reader would log every export that fails: that is the watch's business. */
function quietly(exporter: ReturnType<typeof createMetricExporter>): PushMetricExporter {
  return {
    export: (batch, done) => exporter.export(batch, () => done({ code: 0 })),
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  };
}

function samplerOf({ sampler, ratio }: TracesConfig): Sampler {
  switch (sampler) {
    case "always_on":
      return new AlwaysOnSampler();
    case "always_off":
      return new AlwaysOffSampler();
    case "traceidratio":
      return new TraceIdRatioBasedSampler(ratio);
    case "parentbased_always_on":
      return new ParentBasedSampler({ root: new AlwaysOnSampler() });
    case "parentbased_always_off":
      return new ParentBasedSampler({ root: new AlwaysOffSampler() });
    case "parentbased_traceidratio":
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) });
  }
}

/** Context goes from object to object; without this the SDK would turn AsyncLocalStorage on for every request. */
const explicitContext: ContextManager = {
  active: () => ROOT_CONTEXT,
  with: (_context, run, self, ...args) => run.call(self, ...args),
  bind: (_context, target) => target,
  enable: () => explicitContext,
  disable: () => explicitContext,
};

const LEVELS: Readonly<Record<SdkLogLevel, DiagLogLevel>> = {
  none: DiagLogLevel.NONE,
  error: DiagLogLevel.ERROR,
  warn: DiagLogLevel.WARN,
  info: DiagLogLevel.INFO,
  debug: DiagLogLevel.DEBUG,
  verbose: DiagLogLevel.VERBOSE,
  all: DiagLogLevel.ALL,
};
