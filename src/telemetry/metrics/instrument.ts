/** A metric as OpenTelemetry names it, with the labels that its series may have. */
export interface Instrument {
  readonly name: string;
  /** UCUM; `{…}` is an annotation, which Prometheus names leave out. */
  readonly unit: string;
  readonly description: string;
  readonly kind: InstrumentKind;
  /** Upper bounds of a histogram's buckets, ascending; empty for the others. */
  readonly bounds: readonly number[];
  /** Attribute names; a series has a value or null for each, in this order. */
  readonly labels: readonly string[];
}

/** Only counters and histograms outlive the process that wrote them: what is up or down goes with it. */
export type InstrumentKind = "counter" | "upDownCounter" | "gauge" | "histogram";

/** Null: the series has no such attribute. */
export type LabelValue = string | number | null;

/** In the order of the instrument's `labels`. */
export type LabelValues = readonly LabelValue[];

/** Numbers of one series: one, or a histogram's sum and the counts of its buckets. */
export function valueCount({ kind, bounds }: Instrument): number {
  return kind === "histogram" ? bounds.length + 2 : 1;
}

export function isMonotonic({ kind }: Instrument): boolean {
  return kind === "counter" || kind === "histogram";
}
