import {
  createOtlpNetworkExportDelegate,
  ExporterMetrics,
  OTLPExporterBase,
} from "@opentelemetry/otlp-exporter-base";
import {
  type IExporterMetricsHelper,
  type ISerializer,
  JsonMetricsSerializer,
  JsonTraceSerializer,
  MetricsExporterMetricsHelper,
  ProtobufMetricsSerializer,
  TraceExporterMetricsHelper,
} from "@opentelemetry/otlp-transformer";
import type { ResourceMetrics } from "@opentelemetry/sdk-metrics";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import type { OtlpConfig } from "../config/config.ts";
import { MAX_AT_ONCE } from "./bounded-exporter.ts";
import { failureHint } from "./export-failure.ts";
import type { ExportWatch, Signal } from "./export-watch.ts";
import { createGrpcSender } from "./grpc-sender.ts";
import { createHttpSender } from "./http-sender.ts";
import { RetryingTransport } from "./retrying-transport.ts";
import type { SpanEncoder } from "./span-encoder.ts";
import type { TlsFiles } from "./tls-files.ts";

/** The delegate refuses more exports than this at a time: as many as there are, and as many that just ended. */
const CONCURRENCY = 2 * MAX_AT_ONCE;

interface Encoding<Items> {
  readonly signal: Signal;
  readonly protobuf: ISerializer<Items, unknown>;
  readonly json: ISerializer<Items, unknown>;
  readonly grpcPath: string;
  readonly helper: IExporterMetricsHelper<Items>;
}

/*
 * The SDK's own exporters read what they are not told from the environment; these are told
 * everything, so that the file and the environment are put together in one place only.
 */

export function createSpanExporter(
  config: OtlpConfig,
  tls: TlsFiles,
  watch: ExportWatch,
  encoder: SpanEncoder,
): OTLPExporterBase<ReadableSpan[]> {
  return createExporter(config, tls, watch, {
    signal: "traces",
    protobuf: encoder,
    json: JsonTraceSerializer,
    grpcPath: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    helper: TraceExporterMetricsHelper,
  });
}

export function createMetricExporter(
  config: OtlpConfig,
  tls: TlsFiles,
  watch: ExportWatch,
): OTLPExporterBase<ResourceMetrics> {
  return createExporter(config, tls, watch, {
    signal: "metrics",
    protobuf: ProtobufMetricsSerializer,
    json: JsonMetricsSerializer,
    grpcPath: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    helper: MetricsExporterMetricsHelper,
  });
}

function createExporter<Items>(
  config: OtlpConfig,
  tls: TlsFiles,
  watch: ExportWatch,
  encoding: Encoding<Items>,
): OTLPExporterBase<Items> {
  const { protocol, timeoutMs, compression, url } = config;
  const { signal, protobuf, json, grpcPath, helper } = encoding;
  const sender =
    protocol === "grpc" ? createGrpcSender(config, tls, grpcPath) : createHttpSender(config, tls);
  const transport = new RetryingTransport(
    sender,
    (failure) => {
      if (failure === null) watch.succeeded();
      else watch.failed(failure.message, failureHint(failure, config, signal));
    },
    Math.random,
  );
  const delegate = createOtlpNetworkExportDelegate(
    { timeoutMillis: timeoutMs, concurrencyLimit: CONCURRENCY, compression },
    protocol === "http/json" ? json : protobuf,
    // The SDK's metrics about itself: off, but their place must be taken.
    new ExporterMetrics({
      componentType: "otlp_exporter",
      metricsHelper: helper,
      url,
      meterProvider: undefined,
      responseAttributesFromError: () => ({}),
    }),
    transport,
  );
  return new OTLPExporterBase(delegate);
}
