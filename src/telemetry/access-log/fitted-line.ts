import { asciiJson } from "./format-json.ts";
import type { AccessRecord } from "./record.ts";

/** What a client or a config file decides, and so may be of any length. */
const LONG_FIELDS = [
  "requestId",
  "method",
  "host",
  "path",
  "query",
  "pool",
  "backend",
  "strategy",
] as const;
/** The longest values are cut to as little as it takes; the rest of a line is below 1 KiB. */
const LENGTHS = [2048, 1024, 512, 256, 128, 64, 32];

/**
 * One line of at most `longest` characters with its line feed: a longer one would be torn where
 * several processes write. What it takes is left out at the end of the longest values, and their
 * names are in the record's `truncated`.
 */
export function fittedLine(
  record: AccessRecord,
  format: (record: AccessRecord) => string,
  longest: number,
): string {
  let line = `${format(record)}\n`;
  for (const length of LENGTHS) {
    if (line.length <= longest) return line;
    line = `${format(truncate(record, length))}\n`;
  }
  if (line.length <= longest) return line;
  // So many fields were asked for that their names are too long.
  const { truncated = [], ...rest } = truncate({ ...record, headers: {} }, LENGTHS.at(-1) ?? 0);
  return `${format({ ...rest, truncated: [...truncated, "headers"] })}\n`;
}

function truncate(record: AccessRecord, length: number): AccessRecord {
  const truncated: string[] = [];
  const cut = (name: string, value: string): string => {
    const kept = beginning(value, length);
    if (kept !== value) truncated.push(name);
    return kept;
  };
  const fields = LONG_FIELDS.map((name) => {
    const value = record[name];
    return [name, value === null ? null : cut(name, value)];
  });
  const headers = Object.entries(record.headers).map(([name, value]) => [
    name,
    cut(`headers.${name}`, value),
  ]);
  return {
    ...record,
    ...(Object.fromEntries(fields) as Pick<AccessRecord, (typeof LONG_FIELDS)[number]>),
    headers: Object.fromEntries(headers),
    truncated,
  };
}

/** As much of a text as takes up `length` characters when it is written. */
function beginning(text: string, length: number): string {
  const plain = text.slice(0, length);
  // Nearly always: nothing takes up more than itself.
  if (!/[^\x20-\x7e]|["\\]/.test(plain)) return plain;
  let written = 0;
  for (let end = 0; end < text.length; end++) {
    written += asciiJson(text.charAt(end)).length - QUOTES;
    if (written > length) return text.slice(0, end);
  }
  return text;
}

const QUOTES = 2;
