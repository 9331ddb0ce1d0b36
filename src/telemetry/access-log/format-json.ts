import type { AccessRecord } from "./record.ts";

/**
 * One JSON object, without a line break. It begins as the other lines on stderr do, so that the two
 * can be told apart by `message` where they meet.
 */
export function formatJson(record: AccessRecord): string {
  const { time, level, ...rest } = record;
  return asciiJson({ time, level, message: "request", ...rest });
}

/**
 * JSON in printable ASCII alone: what a client puts into a path or a header field can neither end
 * the line nor move a cursor, change colours or turn the direction of the text that shows it.
 */
export function asciiJson(value: unknown): string {
  const json = JSON.stringify(value);
  return OUTSIDE.test(json) ? json.replace(ALL_OUTSIDE, escapeUnit) : json;
}

const OUTSIDE = /[^\x20-\x7e]/;
const ALL_OUTSIDE = /[^\x20-\x7e]/g;

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
