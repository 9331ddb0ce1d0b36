import type { Instrument, LabelValue, LabelValues } from "./instrument.ts";

/** Null: the text is none of ours. It comes from memory in which a worker may have done damage. */
export function readLabelValues(instrument: Instrument, text: string): LabelValues | null {
  let values: unknown;
  try {
    values = JSON.parse(text);
  } catch {
    return null;
  }
  if (!Array.isArray(values) || values.length !== instrument.labels.length) return null;
  return values.every(isLabelValue) ? values : null;
}

function isLabelValue(value: unknown): value is LabelValue {
  return value === null || typeof value === "string" || typeof value === "number";
}
