import type { Environment } from "./settings.ts";

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
 * could make as many names as it likes. `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS` replaces the list
 * (the conventions demand the override).
 */
export function knownMethods(env: Environment): ReadonlySet<string> {
  const listed = (env["OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS"] ?? "")
    .split(",")
    .map((method) => method.trim())
    .filter((method) => method !== "");
  return new Set(listed.length === 0 ? KNOWN : listed);
}
