/** An OTLP metrics export (opentelemetry/proto/metrics/v1/metrics.proto) as plain data, from protobuf or JSON. */
import { type Message, readMessage } from "./otlp-protobuf.ts";
import { type Attributes, attributesOf, jsonAttributes, type JsonPair } from "./otlp-trace.ts";

export interface ReceivedMetric {
  readonly name: string;
  readonly unit: string;
  readonly points: readonly ReceivedPoint[];
  /** Attributes of the program that sent it. */
  readonly resource: Attributes;
}

export interface ReceivedPoint {
  readonly attributes: Attributes;
  /** Of a histogram its count. */
  readonly value: number;
  /** Of a histogram. */
  readonly sum: number | null;
}

export function metricsFromProtobuf(body: Uint8Array): ReceivedMetric[] {
  return readMessage(body)
    .messages(1)
    .flatMap((resourceMetrics) => {
      const resource = attributesOf(resourceMetrics.message(1), 1);
      return resourceMetrics
        .messages(2)
        .flatMap((scopeMetrics) => scopeMetrics.messages(2))
        .map((metric) => ({
          name: metric.text(1),
          unit: metric.text(3),
          points: pointsOf(metric),
          resource,
        }));
    });
}

function pointsOf(metric: Message): ReceivedPoint[] {
  const histogram = metric.message(9);
  if (histogram !== null) {
    return histogram.messages(1).map((point) => ({
      attributes: attributesOf(point, 9),
      value: Number(point.integer(4)),
      sum: point.double(5),
    }));
  }
  const numbers = metric.message(5) ?? metric.message(7);
  return (numbers?.messages(1) ?? []).map((point) => ({
    attributes: attributesOf(point, 7),
    value: point.has(6) ? Number(BigInt.asIntN(64, point.integer(6))) : point.double(4),
    sum: null,
  }));
}

export function metricsFromJson(text: string): ReceivedMetric[] {
  const request = JSON.parse(text) as JsonRequest;
  return (request.resourceMetrics ?? []).flatMap(({ resource, scopeMetrics }) =>
    (scopeMetrics ?? []).flatMap(({ metrics }) =>
      (metrics ?? []).map((metric) => ({
        name: metric.name,
        unit: metric.unit ?? "",
        points: jsonPoints(metric),
        resource: jsonAttributes(resource?.attributes),
      })),
    ),
  );
}

interface JsonRequest {
  readonly resourceMetrics?: readonly {
    readonly resource?: { readonly attributes?: readonly JsonPair[] };
    readonly scopeMetrics?: readonly { readonly metrics?: readonly JsonMetric[] }[];
  }[];
}

interface JsonMetric {
  readonly name: string;
  readonly unit?: string;
  readonly sum?: { readonly dataPoints?: readonly JsonPoint[] };
  readonly gauge?: { readonly dataPoints?: readonly JsonPoint[] };
  readonly histogram?: { readonly dataPoints?: readonly JsonPoint[] };
}

interface JsonPoint {
  readonly attributes?: readonly JsonPair[];
  readonly asDouble?: number;
  readonly asInt?: string | number;
  readonly count?: string | number;
  readonly sum?: number;
}

function jsonPoints({ sum, gauge, histogram }: JsonMetric): ReceivedPoint[] {
  return ((histogram ?? sum ?? gauge)?.dataPoints ?? []).map((point) => ({
    attributes: jsonAttributes(point.attributes),
    value: Number(point.count ?? point.asInt ?? point.asDouble ?? Number.NaN),
    sum: point.sum ?? null,
  }));
}
