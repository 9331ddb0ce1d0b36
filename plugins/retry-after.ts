import type { HeaderReader } from "../src/plugin.ts";

/** The only form that servers may send (RFC 9110, section 5.6.7); the obsolete ones are left alone. */
const HTTP_DATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/;

/**
 * Milliseconds that a response asks its client to wait (RFC 9110, section 10.2.3), or null when it does
 * not say. A date is read against the response's own Date: a strategy has no clock that shows the
 * time of day, and clocks of two machines differ.
 */
export function readRetryAfterMs(headers: HeaderReader): number | null {
  const text = headers.get("retry-after")?.trim() ?? "";
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const until = parseDate(text);
  const sent = parseDate(headers.get("date")?.trim() ?? "");
  return until === null || sent === null ? null : Math.max(0, until - sent);
}

function parseDate(text: string): number | null {
  if (!HTTP_DATE.test(text)) return null;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}
