/** RFC 9110, RFC 5789 (PATCH) and QUERY. */
const KNOWN = [
  "CONNECT",
  "DELETE",
  "GET",
  "HEAD",
  "OPTIONS",
  "PATCH",
  "POST",
  "PUT",
  "QUERY",
  "TRACE",
];

/**
 * Methods that may be an attribute value and a span name; all others become `_OTHER`, or a client
 * could make as many names as it likes. A configured list replaces ours (the conventions demand the
 * override); null or empty: none is configured.
 */
export function knownMethods(configured: readonly string[] | null): ReadonlySet<string> {
  return new Set(configured === null || configured.length === 0 ? KNOWN : configured);
}
