import { formatMs, formatPercent } from "./format.ts";
import type { ReportRow } from "./demo-report.ts";

/** Two runs with the same strategy differ by a few percent; less than this is not called a change. */
const SAME_WITHIN = 0.05;

/** What changed from the first row to each of the others, for better or worse. */
export function createFindings(rows: readonly ReportRow[]): readonly string[] {
  const [first, ...others] = rows;
  if (first === undefined) return [];
  return others.flatMap((other) => [compareP99(first, other), compareErrors(first, other)]);
}

function compareP99(before: ReportRow, after: ReportRow): string {
  const from = before.spike.latencyMs?.p99;
  const to = after.spike.latencyMs?.p99;
  if (from === undefined || to === undefined) {
    const silent = from === undefined ? before : after;
    return `p99 cannot be compared: ${silent.label} had no good answer.`;
  }
  const values = `${formatMs(from)} (${before.label}) to ${formatMs(to)} (${after.label})`;
  if (Math.abs(to - from) <= SAME_WITHIN * from) return `p99 did not improve: ${values}.`;
  return to < from
    ? `p99 fell from ${values}: ${formatPercent(1 - to / from)} lower.`
    : `p99 rose from ${values}: no improvement.`;
}

function compareErrors(before: ReportRow, after: ReportRow): string {
  const from = before.spike.errors;
  const to = after.spike.errors;
  const values = `${formatPercent(from.rate)} (${before.label}) to ${formatPercent(to.rate)} (${after.label})`;
  if (from.total === 0 && to.total === 0) {
    return `No request failed, neither with ${before.label} nor with ${after.label}.`;
  }
  if (Math.abs(to.rate - from.rate) <= SAME_WITHIN * from.rate) {
    return `The error rate did not improve: ${values}.`;
  }
  return to.rate < from.rate
    ? `Errors fell from ${values}.`
    : `Errors rose from ${values}: no improvement.`;
}
