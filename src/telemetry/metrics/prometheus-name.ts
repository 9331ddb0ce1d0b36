/**
 * Names as Prometheus has them, by OpenTelemetry's compatibility rules ("Prometheus and OpenMetrics
 * Compatibility", OTLP metric points to Prometheus).
 */
import type { Instrument } from "./instrument.ts";

/** UCUM to words. */
const UNITS: Readonly<Record<string, string>> = { s: "seconds" };

/** `seconds`; null for a unit that is not part of the name: none, or an annotation like `{request}`. */
export function prometheusUnit({ unit }: Instrument): string | null {
  return UNITS[unit] ?? null;
}

/** With the unit, without the `_total` of a counter. */
export function prometheusFamily(instrument: Instrument): string {
  const name = prometheusWord(instrument.name);
  const unit = prometheusUnit(instrument);
  return unit === null || name.endsWith(`_${unit}`) ? name : `${name}_${unit}`;
}

/** Dots and whatever else is not allowed become one underscore, and none begins with a digit. */
export function prometheusWord(name: string): string {
  const word = name.replace(/[^A-Za-z0-9]+/g, "_");
  return /^\d/.test(word) ? `_${word}` : word;
}
