/** Which header fields cross the proxy, and which it adds. */
import { ProxyError } from "../errors.ts";
import type { HeaderRules } from "../config/config.ts";
import { type Forwarding, forwardingFields, isForwarding, isReplaced } from "./forwarding.ts";
import type { FrontRequest, HeaderField } from "./front.ts";
import { oneHopLess } from "./max-forwards.ts";

/** Fields that concern one connection only (RFC 9110, 7.6.1), and those of old that mean the same. */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Request fields that we write ourselves. `Expect` is answered by the front, when the body is wanted. */
const WRITTEN_IN_REQUEST = new Set(["host", "content-length", "expect", "via"]);

export interface RequestHeadOptions {
  /** Host field for the backend. */
  readonly host: string;
  /** What the client sent as Host. */
  readonly clientHost: string;
  readonly forwarding: Forwarding;
  /** From the configuration. */
  readonly rules: HeaderRules;
  /** Framing of the body: a length, `chunked`, or null for none. */
  readonly framing: number | "chunked" | null;
  /** Fields that take the place of all others of their names. */
  readonly set: readonly HeaderField[];
  /** Names (lower case) of the client's fields that are left out beside these. */
  readonly remove: readonly string[];
}

/** Request line and fields as the backend gets them, with the empty line. Throws ProxyError. */
export function requestHead(request: FrontRequest, options: RequestHeadOptions): string {
  const { headers } = request;
  const named = namedByConnection(headers.get("connection"));
  const { forwarding, rules } = options;
  const isRuledOut = (name: string): boolean =>
    rules.remove.includes(name) || isSet(rules.set, name) || isSet(options.set, name);
  let fields = "";
  const write = (name: string, value: string): void => {
    if (!isRuledOut(name)) fields += `${name}: ${value}\r\n`;
  };
  let cookies = false;
  headers.forEach((value, sent, name) => {
    if (HOP_BY_HOP.has(name) || WRITTEN_IN_REQUEST.has(name)) return;
    if (isReplaced(name, forwarding) || options.remove.includes(name)) return;
    // A client must not be able to hide what a trusted proxy in front of us says of it.
    if (named?.has(name) && !isForwarding(name)) return;
    if (isRuledOut(name)) return;
    if (name === "cookie") {
      // A server need not look at a second line (RFC 6265, 5.4).
      if (!cookies) fields += `${sent}: ${headers.get(name)}\r\n`;
      cookies = true;
    } else {
      fields += `${sent}: ${name === "max-forwards" ? oneHopLess(request.method, value) : value}\r\n`;
    }
  });
  for (const [name, value] of forwardingFields(request, options.clientHost, forwarding)) {
    write(name, value);
  }
  const via = headers.get("via") ?? "";
  write("via", `${via === "" ? "" : `${via}, `}${request.version} ${forwarding.pseudonym}`);
  for (const [name, value] of [...rules.set, ...rules.add]) {
    if (!isSet(options.set, name)) fields += `${name}: ${value}\r\n`;
  }
  for (const [name, value] of options.set) fields += `${name}: ${value}\r\n`;
  if (options.framing === "chunked") fields += "transfer-encoding: chunked\r\n";
  else if (options.framing !== null) fields += `content-length: ${options.framing}\r\n`;
  // Whatever front it came from: the runtime refuses control characters, but for this one in its other servers (RFC 9110, 5.5).
  if (fields.includes("\x7f")) {
    throw new ProxyError("bad_request", "a header field has a control character", {
      source: "client",
    });
  }
  return `${request.method} ${forwarding.target} HTTP/1.1\r\nhost: ${options.host}\r\n${fields}\r\n`;
}

function isSet(fields: readonly HeaderField[], name: string): boolean {
  for (let i = 0; i < fields.length; i++) if (fields[i]?.[0] === name) return true;
  return false;
}

/** The backend's fields as the client gets them, Content-Length among them. */
export function responseHeaders(fields: readonly HeaderField[], rules: HeaderRules): HeaderField[] {
  let named: Set<string> | null = null;
  for (const [name, value] of fields) {
    if (name.length !== 10 || name.toLowerCase() !== "connection") continue;
    for (const each of namedByConnection(value) ?? []) (named ??= new Set()).add(each);
  }
  const kept: HeaderField[] = [];
  for (const field of fields) {
    const name = field[0].toLowerCase();
    if (HOP_BY_HOP.has(name) || named?.has(name)) continue;
    if (rules.remove.includes(name) || isSet(rules.set, name)) continue;
    kept.push(field);
  }
  kept.push(...rules.set, ...rules.add);
  return kept;
}

/** Whether the client's connection ends with this request: the answer says so, too (RFC 9112, 9.6). */
export function asksToClose(headers: Pick<FrontRequest["headers"], "get">): boolean {
  const connection = headers.get("connection");
  if (connection === null || connection === "keep-alive") return false;
  return connection === "close" || (namedByConnection(connection)?.has("close") ?? false);
}

/** Lower-case names in a Connection field, without the usual ones that name nothing. */
function namedByConnection(value: string | null): Set<string> | null {
  if (value === null || value === "keep-alive" || value === "close") return null;
  const names = value.split(",").map((name) => name.trim().toLowerCase());
  // The body's framing is not theirs to remove (RFC 9112, 6.1): it is ours, written anew.
  return new Set(names.filter((name) => name !== "" && name !== "host"));
}
