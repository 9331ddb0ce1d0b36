import { asciiJson } from "./format-json.ts";
import type { AccessRecord } from "./record.ts";

/**
 * For people at a terminal, in printable ASCII:
 * `15:04:05 502 GET shop.example/cart 12.3ms client=127.0.0.1 pool=web backend=a:1 …`.
 */
export function formatText(record: AccessRecord): string {
  const { host, path, query, requestBytes, responseBytes, endedBy, phase } = record;
  const parts = [
    localTime(record.time),
    String(record.status),
    shown(record.method),
    shown(`${host}${path}${query === null ? "" : `?${query}`}`),
    `${record.durationMs}ms`,
  ];
  const fields: readonly (readonly [string, string | number | null])[] = [
    ["client", record.client],
    ["pool", record.pool],
    ["backend", record.backend],
    ["attempts", record.attempts],
    ["strategy", record.strategy === null ? null : `${record.strategy}@${record.strategyVersion}`],
    ["firstByte", record.firstByteMs === null ? null : `${record.firstByteMs}ms`],
    ["bytes", `${requestBytes}/${responseBytes}`],
    ["ended", `${endedBy}/${phase}`],
    ["error", record.error],
    ["id", record.requestId],
    ["trace", record.traceId],
    ["span", record.spanId],
    ...Object.entries(record.headers),
    ["truncated", record.truncated?.join(",") ?? null],
  ];
  for (const [name, value] of fields) {
    if (value !== null) parts.push(`${name}=${shown(String(value))}`);
  }
  return parts.join(" ");
}

/** A text with a space in quotes: it must not look like the field after it. */
function shown(text: string): string {
  return /^[\x21\x23-\x7e]+$/.test(text) ? text : asciiJson(text);
}

/** As on the reader's own clock. */
function localTime(time: string): string {
  const date = new Date(time);
  return [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((part) => String(part).padStart(2, "0"))
    .join(":");
}
