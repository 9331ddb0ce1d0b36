import type { RequestInfo } from "../src/plugin.ts";
import type { OptionReader } from "./option-reader.ts";

/** What of a request says where it belongs; null when this one does not have it. */
export type RequestKey = (request: RequestInfo) => string | null;

/** A name of a header or a cookie (`token` in RFC 9110, section 5.6.2). */
const TOKEN = /^[!#$%&'*+.^_`|~\w-]+$/;
const ALLOWED =
  '"client-address", "path", { header: "X-User" }, { cookie: "session" } or { query: "user" }';

/** Reads an option that names a part of the request; the client's address when it is left out. */
export function readRequestKey(reader: OptionReader, option: string): RequestKey {
  const value = reader.value(option);
  if (value === undefined || value === "client-address") return (request) => request.clientAddress;
  if (value === "path") return (request) => request.path;
  const [[part, name] = [], ...others] = Object.entries(
    typeof value === "object" && value !== null ? value : {},
  ) as [string, unknown][];
  if (others.length === 0 && typeof name === "string" && name !== "") {
    if (part === "query") return ({ query }) => readParameter(query, name);
    if (part === "header" && TOKEN.test(name)) return ({ headers }) => readHeader(headers, name);
    if (part === "cookie" && TOKEN.test(name)) {
      return ({ headers }) => readCookie(headers.get("cookie"), name);
    }
  }
  reader.rejectValue(option, ALLOWED);
  return () => null;
}

function readHeader(headers: RequestInfo["headers"], name: string): string | null {
  return headers.get(name)?.trim() || null;
}

/** Decoded, so that two spellings of the same value are the same. */
function readParameter(query: string, name: string): string | null {
  return query === "" ? null : new URLSearchParams(query).get(name) || null;
}

/** RFC 6265, section 4.2.1. Names are case-sensitive; of several with one name the first counts. */
function readCookie(header: string | null, name: string): string | null {
  for (let from = 0, text = header ?? ""; from < text.length;) {
    const semicolon = text.indexOf(";", from);
    const to = semicolon === -1 ? text.length : semicolon;
    const equals = text.indexOf("=", from);
    if (equals !== -1 && equals < to && text.slice(from, equals).trim() === name) {
      return (
        text
          .slice(equals + 1, to)
          .trim()
          .replace(/^"(.*)"$/, "$1") || null
      );
    }
    from = to + 1;
  }
  return null;
}
