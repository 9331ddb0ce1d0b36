import type { Exemplar } from "./exemplar.ts";
import type { Instrument, LabelValue, LabelValues } from "./instrument.ts";

/** All metrics at one moment. */
export interface Snapshot {
  /** Unix time in milliseconds since when counters and histograms have been counting. */
  readonly startMs: number;
  readonly timeMs: number;
  /** Only those that have series. */
  readonly metrics: readonly Metric[];
}

export interface Metric {
  readonly instrument: Instrument;
  /** In an order that stays the same. */
  readonly points: readonly Point[];
}

export interface Point {
  /** Those that the series has. */
  readonly labels: Labels;
  /** One number, or a histogram's sum and the counts of its buckets. */
  readonly values: Float64Array;
  /** Per bucket, null where there is none; empty for all but histograms with exemplars. */
  readonly exemplars: readonly (Exemplar | null)[];
}

export type Labels = readonly (readonly [name: string, value: Exclude<LabelValue, null>])[];

/** Of the series for everything that found no room (metrics SDK specification, "Cardinality limits"). */
export const OVERFLOW_LABELS: Labels = [["otel.metric.overflow", "true"]];

/** Names and values of a series' labels. */
export function namedLabels(instrument: Instrument, values: LabelValues): Labels {
  return instrument.labels.flatMap((name, index) => {
    const value = values[index] ?? null;
    return value === null ? [] : [[name, value] as const];
  });
}

/** How many measurements a histogram's point holds. */
export function countOf({ values }: Point): number {
  return values.subarray(1).reduce((sum, count) => sum + count, 0);
}
