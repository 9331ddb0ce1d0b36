import type { OtlpConfig } from "../config/config.ts";
import type { Signal } from "./export-watch.ts";

/** Why a try to export failed. `retryable` by the OTLP specification, "Failures". */
export class ExportFailure extends Error {
  override readonly name = "ExportFailure";
  /** A status of HTTP or gRPC, or the code of a network error. */
  readonly code: string | number | null;
  readonly retryable: boolean;
  /** Null unless the collector said when to come again. */
  readonly retryAfterMs: number | null;
  /** What answered does not speak the protocol that is configured. */
  readonly wrongProtocol: boolean;

  constructor(
    message: string,
    facts: {
      readonly code?: string | number | null;
      readonly retryable: boolean;
      readonly retryAfterMs?: number | null;
      readonly wrongProtocol?: boolean;
      readonly cause?: unknown;
    },
  ) {
    super(message, { cause: facts.cause });
    this.code = facts.code ?? null;
    this.retryable = facts.retryable;
    this.retryAfterMs = facts.retryAfterMs ?? null;
    this.wrongProtocol = facts.wrongProtocol ?? false;
  }
}

const HTTP_PORT = "4318";
const GRPC_PORT = "4317";

/** What is probably wrong with the port, before anything is sent; null when nothing is. */
export function portHint({ protocol, url }: OtlpConfig): string | null {
  const { port } = new URL(url);
  if (protocol === "grpc" ? port !== HTTP_PORT : port !== GRPC_PORT) return null;
  return protocolHint(protocol);
}

/** What to change after this failure; null when the failure says it all. */
export function failureHint(
  failure: ExportFailure,
  { protocol, url }: OtlpConfig,
  signal: Signal,
): string | null {
  const { port, protocol: scheme } = new URL(url);
  // A gRPC server ends a connection on which HTTP/1.1 comes, some with a frame of HTTP/2 before.
  const cutOff = failure.code === "ECONNRESET" && port === GRPC_PORT && protocol !== "grpc";
  if (cutOff) return protocolHint(protocol);
  if (failure.wrongProtocol) return wrongProtocolHint(protocol, port);
  if (failure.code === "EPROTO" && scheme === "https:") {
    return "what answers there speaks no TLS: is http:// meant instead of https://?";
  }
  // HTTP 404 and 405, gRPC UNIMPLEMENTED.
  const unknown = failure.code === 404 || failure.code === 405 || failure.code === 12;
  if (!unknown) return null;
  return signal === "metrics"
    ? "a collector that takes no metrics (Jaeger) needs OTEL_METRICS_EXPORTER=none or telemetry.metrics.exporter"
    : "OTEL_EXPORTER_OTLP_ENDPOINT gets /v1/traces added, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is used as it is";
}

/** An unusual port says nothing of what is meant to be there. */
function wrongProtocolHint(protocol: OtlpConfig["protocol"], port: string): string {
  if (port === (protocol === "grpc" ? HTTP_PORT : GRPC_PORT)) return protocolHint(protocol);
  const there = port === "" ? "what answers there" : `what answers at port ${port}`;
  return protocol === "grpc"
    ? `${there} speaks no gRPC: if it is for HTTP set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf (telemetry.otlp.protocol), or use the port for gRPC, usually 4317`
    : `${there} speaks no HTTP/1.1: if it is for gRPC set OTEL_EXPORTER_OTLP_PROTOCOL=grpc (telemetry.otlp.protocol), or use the port for HTTP, usually 4318`;
}

function protocolHint(protocol: OtlpConfig["protocol"]): string {
  return protocol === "grpc"
    ? "4318 is usually the port for HTTP: use 4317, or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf (telemetry.otlp.protocol)"
    : "4317 is usually the port for gRPC: use 4318, or set OTEL_EXPORTER_OTLP_PROTOCOL=grpc (telemetry.otlp.protocol)";
}
