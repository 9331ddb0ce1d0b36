/**
 * Starts the OpenTelemetry SDK. The only file that imports `@opentelemetry/sdk-node`; it is itself
 * imported only after `telemetryWanted` has said yes.
 */
import {
  context,
  type ContextManager,
  diag,
  DiagLogLevel,
  ROOT_CONTEXT,
  trace,
} from "@opentelemetry/api";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import {
  defaultResource,
  envDetector,
  type Resource,
  resourceFromAttributes,
} from "@opentelemetry/resources";
import { NodeSDK } from "@opentelemetry/sdk-node";
import { ConsoleSpanExporter, type SpanExporter } from "@opentelemetry/sdk-trace";
import { ConfigError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { RequestObserver } from "../proxy/observer.ts";
import { createDiagLog } from "./diag-log.ts";
import { ReportingExporter } from "./reporting-exporter.ts";
import { knownMethods } from "./request-method.ts";
import {
  type Environment,
  setting,
  traceEndpoint,
  type TraceSettings,
  traceSettings,
} from "./settings.ts";
import { createTracingObserver } from "./tracing-observer.ts";

/** What is not delivered by then is dropped: the SDK alone would try for 8 s when nobody listens. */
const SHUTDOWN_MS = 3_000;

export interface TelemetryOptions {
  /** The process's environment; the SDK reads most of `OTEL_*` from there itself. */
  readonly env: Environment;
  /** Ours, for `service.version`. */
  readonly version: string;
  /** Part of `service.instance.id`: each worker sends its own spans. */
  readonly workerId: number;
  readonly log: Logger;
}

export interface Telemetry {
  readonly observer: RequestObserver;
  /**
   * Delivers what is left, for 3 s at most, and never rejects. An exporter that still waits for its
   * collector keeps timers running: the process has to be ended, it does not run out by itself.
   */
  shutdown(): Promise<void>;
}

/** Only traces, and no instrumentation of modules. Throws a ConfigError for `OTEL_*` values that we cannot serve. */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const { env, log } = options;
  const { settings, problems } = traceSettings(env);
  if (problems.length > 0) throw new ConfigError(problems);

  const diagLog = createDiagLog(log, () => performance.now());
  const logLevel = diagLevel(setting(env, "OTEL_LOG_LEVEL"));
  diag.setLogger(diagLog, { logLevel, suppressOverrideMessage: true });
  const exporter = new ReportingExporter(
    createExporter(settings),
    log,
    exportTarget(settings, env),
  );
  // With OTEL_LOG_LEVEL set the constructor brings a logger of its own, which writes to the console.
  diag.disable();
  const sdk = new NodeSDK({
    traceExporter: exporter,
    metricReaders: [],
    logRecordProcessors: [],
    resource: processResource(options),
    // The host and process detectors would send the command line and paths.
    resourceDetectors: [envDetector],
    contextManager: explicitContext,
    textMapPropagator: null,
  });
  diag.setLogger(diagLog, { logLevel, suppressOverrideMessage: true });
  sdk.start();

  const observer = createTracingObserver({
    tracer: trace.getTracer("leastwise", options.version),
    knownMethods: knownMethods(env),
    propagate: settings.propagate,
  });
  return { observer, shutdown: () => shutdown(sdk, log) };
}

async function shutdown(sdk: NodeSDK, log: Logger): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<string>();
  const timer = setTimeout(() => resolve(`no answer within ${SHUTDOWN_MS} ms`), SHUTDOWN_MS);
  const stopped = sdk.shutdown().then(
    () => null,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  const failure = await Promise.race([stopped, late]);
  clearTimeout(timer);
  if (failure !== null) log.warn("the last spans were not exported", { reason: failure });
  trace.disable();
  context.disable();
  diag.disable();
}

function createExporter(settings: TraceSettings): SpanExporter {
  if (settings.exporter === "console") return new ConsoleSpanExporter();
  return settings.protocol === "http/json" ? new JsonExporter() : new ProtobufExporter();
}

/** For the log: without credentials and query. */
function exportTarget(settings: TraceSettings, env: Environment): string {
  if (settings.exporter === "console") return "console";
  const endpoint = new URL(traceEndpoint(env) ?? "http://localhost:4318");
  return `${endpoint.origin}${endpoint.pathname}`;
}

/** Attributes of `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` come on top of these. */
function processResource(options: TelemetryOptions): Resource {
  return defaultResource().merge(
    resourceFromAttributes({
      "service.name": "leastwise",
      "service.version": options.version,
      "service.instance.id": `worker-${options.workerId}-${crypto.randomUUID()}`,
      "process.pid": process.pid,
    }),
  );
}

/** Context goes from object to object; without this the SDK would turn AsyncLocalStorage on for every request. */
const explicitContext: ContextManager = {
  active: () => ROOT_CONTEXT,
  with: (_context, run, self, ...args) => run.call(self, ...args),
  bind: (_context, target) => target,
  enable: () => explicitContext,
  disable: () => explicitContext,
};

function diagLevel(name: string | null): DiagLogLevel {
  switch (name?.toUpperCase()) {
    case "NONE":
      return DiagLogLevel.NONE;
    case "ERROR":
      return DiagLogLevel.ERROR;
    case "INFO":
      return DiagLogLevel.INFO;
    case "DEBUG":
      return DiagLogLevel.DEBUG;
    case "VERBOSE":
      return DiagLogLevel.VERBOSE;
    case "ALL":
      return DiagLogLevel.ALL;
    default:
      return DiagLogLevel.WARN;
  }
}
