import { resolve as resolvePath } from "node:path";
import type { ExportTarget, OtlpConfig, Sampler, TelemetryConfig } from "./config.ts";
import type { OtlpOutput, TelemetryOutput } from "./telemetry-schema.ts";

/** The section with everything filled in; a signal is off until an exporter or an endpoint is named. */
export function fillTelemetry(data: TelemetryOutput, baseDir: string): TelemetryConfig {
  const { traces, metrics, propagators } = data;
  const { "service.name": named, ...resourceAttributes } = data.resourceAttributes;
  const tracesTo = targetOf("traces", traces, data, baseDir);
  const metricsTo = targetOf("metrics", metrics, data, baseDir);
  return {
    trust: data.trust,
    propagate: propagators.includes("tracecontext") && !propagators.includes("none"),
    knownMethods: data.knownMethods ?? null,
    serviceName: data.serviceName ?? named ?? "leastwise",
    resourceAttributes,
    logLevel: data.logLevel,
    traces:
      tracesTo === "off"
        ? null
        : {
            target: tracesTo,
            sampler: traces.sampler ?? samplerOf(traces.ratio),
            ratio: traces.ratio ?? 1,
            batch: {
              delayMs: traces.batch.delay,
              timeoutMs: traces.batch.timeout,
              maxQueue: traces.batch.maxQueue,
              maxBatch: Math.min(traces.batch.maxBatch ?? 512, traces.batch.maxQueue),
            },
            limits: {
              ...traces.limits,
              attributeLength: traces.limits.attributeLength ?? null,
            },
          },
    metrics:
      metricsTo === "off"
        ? null
        : {
            target: metricsTo,
            intervalMs: metrics.interval,
            timeoutMs: Math.min(metrics.timeout, metrics.interval),
          },
  };
}

function samplerOf(ratio: number | undefined): Sampler {
  return ratio === undefined ? "parentbased_always_on" : "parentbased_traceidratio";
}

interface Signal {
  readonly exporter?: "otlp" | "console" | "prometheus" | "none" | undefined;
  readonly otlp: OtlpOutput;
}

function targetOf(
  name: "traces" | "metrics",
  signal: Signal,
  { disabled, otlp: general }: TelemetryOutput,
  baseDir: string,
): ExportTarget | "off" {
  const hasEndpoint = (signal.otlp.endpoint ?? general.endpoint) !== undefined;
  const exporter = signal.exporter ?? (hasEndpoint ? "otlp" : "none");
  if (disabled || exporter === "none" || exporter === "prometheus") return "off";
  return exporter === "console" ? null : otlpOf(name, signal.otlp, general, baseDir);
}

function otlpOf(
  name: "traces" | "metrics",
  own: OtlpOutput,
  general: OtlpOutput,
  baseDir: string,
): OtlpConfig {
  const protocol = own.protocol ?? general.protocol ?? "http/protobuf";
  const path = (file: string | undefined) =>
    file === undefined ? null : resolvePath(baseDir, file);
  return {
    protocol,
    url: own.endpoint ?? withPath(general.endpoint, protocol, name),
    headers: { ...lowerCase(general.headers), ...lowerCase(own.headers) },
    timeoutMs: own.timeout ?? general.timeout ?? 10_000,
    compression: own.compression ?? general.compression ?? "none",
    certificate: path(own.certificate ?? general.certificate),
    clientKey: path(own.clientKey ?? general.clientKey),
    clientCertificate: path(own.clientCertificate ?? general.clientCertificate),
  };
}

/** OTLP exporter specification, "Endpoint URLs for OTLP/HTTP". */
function withPath(
  endpoint: string | undefined,
  protocol: OtlpConfig["protocol"],
  name: "traces" | "metrics",
): string {
  if (protocol === "grpc") return endpoint ?? "http://localhost:4317";
  const url = new URL(endpoint ?? "http://localhost:4318");
  url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/${name}`;
  return url.href;
}

function lowerCase(headers: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
}
