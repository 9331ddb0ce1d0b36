/** Metrics as the SDK's readers take them. Of the SDK only types are imported here. */
import type { HrTime, ValueType } from "@opentelemetry/api";
import type { Resource } from "@opentelemetry/resources";
import type {
  AggregationTemporality,
  CollectionResult,
  DataPoint,
  DataPointType,
  MetricData,
  MetricProducer,
} from "@opentelemetry/sdk-metrics";
import type { Origin } from "./exposition.ts";
import { countOf, type Metric, type Point, type Snapshot } from "./snapshot.ts";

/** The SDK's enumerations by value: importing them would load the SDK. A test compares the two. */
export const DATA_POINT_TYPE = {
  histogram: 0 as DataPointType.HISTOGRAM,
  gauge: 2 as DataPointType.GAUGE,
  sum: 3 as DataPointType.SUM,
};
export const CUMULATIVE = 1 as AggregationTemporality.CUMULATIVE;
export const DOUBLE = 1 as ValueType.DOUBLE;

export interface MetricProducerOptions {
  readonly snapshot: () => Promise<Snapshot>;
  readonly scope: Origin["scope"];
  /** A reader that also reads the SDK's own metrics sends those' resource. */
  readonly resource: Resource;
}

/**
 * For `metricProducers` of a PeriodicExportingMetricReader. The points are cumulative, whatever
 * `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE` says, and carry no exemplars: the JavaScript SDK has
 * no place for them.
 */
export function createMetricProducer(options: MetricProducerOptions): MetricProducer {
  const { scope, resource } = options;
  return {
    async collect(): Promise<CollectionResult> {
      const snapshot = await options.snapshot();
      const metrics = snapshot.metrics.map((metric) => metricData(metric, snapshot));
      return { resourceMetrics: { resource, scopeMetrics: [{ scope, metrics }] }, errors: [] };
    },
  };
}

function metricData({ instrument, points }: Metric, snapshot: Snapshot): MetricData {
  const { name, unit, description, kind, bounds } = instrument;
  const common = {
    descriptor: { name, unit, description, valueType: DOUBLE },
    aggregationTemporality: CUMULATIVE,
  };
  if (kind === "histogram") {
    const dataPoints = points.map((point) =>
      dataPoint(point, snapshot, {
        buckets: { boundaries: [...bounds], counts: [...point.values.subarray(1)] },
        sum: point.values[0] ?? 0,
        count: countOf(point),
      }),
    );
    return { ...common, dataPointType: DATA_POINT_TYPE.histogram, dataPoints };
  }
  const dataPoints = points.map((point) => dataPoint(point, snapshot, point.values[0] ?? 0));
  if (kind === "gauge") return { ...common, dataPointType: DATA_POINT_TYPE.gauge, dataPoints };
  const isMonotonic = kind === "counter";
  return { ...common, dataPointType: DATA_POINT_TYPE.sum, dataPoints, isMonotonic };
}

function dataPoint<Value>(
  { labels }: Point,
  { startMs, timeMs }: Snapshot,
  value: Value,
): DataPoint<Value> {
  return {
    startTime: hrTime(startMs),
    endTime: hrTime(timeMs),
    attributes: Object.fromEntries(labels),
    value,
  };
}

function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}
