/** What a request must be before anything is done with it. */
import { ProxyError } from "../errors.ts";
import type { FrontRequest } from "./front.ts";

/**
 * `uri-host [ ":" port ]` (RFC 9110, 7.2), with the characters of reg-name but no user, no path, and no
 * percent-encoding, which no host needs and which programs decode differently.
 */
const HOST = /^(?:[A-Za-z0-9\-._~!$&'()*+;=]+|\[[0-9A-Fa-f:.]+\])(?::(\d{0,5}))?$/;
/** What the runtime makes of bytes in a path that are no UTF-8. */
const REPLACEMENT = "%EF%BF%BD";

/** Returns the Host field; empty only for an HTTP/1.0 request that has none. Throws ProxyError. */
export function validateRequest(request: FrontRequest): string {
  const { method, headers, target } = request;
  if (method === "CONNECT") {
    throw new ProxyError("method_not_supported", "CONNECT is not supported: this is a gateway", {
      source: "client",
    });
  }
  if (method === "TRACE" || method === "TRACK") {
    // The answer would show a script the fields that the browser hides from it (RFC 9110, 9.3.8).
    throw new ProxyError("method_not_allowed", `${method} is not forwarded`, { source: "client" });
  }
  const host = headers.get("host") ?? "";
  // A joined list of two Host fields has a comma, which no host has.
  if (headers.has("host") && !isHost(host)) {
    throw badRequest("the Host field must be one host name or address with an optional port");
  }
  if (!target.startsWith("/")) {
    throw badRequest("the request target must be a path, for example /index.html");
  }
  if (/[^\x21-\x7e]/.test(target)) {
    // Whatever front it came from: the request line is written byte by byte.
    throw badRequest("the request target must be printable ASCII, percent-encoded where it is not");
  }
  if (target.includes(REPLACEMENT)) {
    throw badRequest("the request target must be UTF-8, percent-encoded where it is not ASCII");
  }
  if (asksForUpgrade(headers)) {
    throw new ProxyError("upgrade_not_supported", "protocol upgrades are not supported", {
      source: "client",
    });
  }
  const length = headers.get("content-length");
  if (length !== null && !/^\d+$/.test(length)) {
    // Bun lets repeats of the same one pass, and joins them (RFC 9110, 8.6).
    throw badRequest("there must be one Content-Length field at most, and it must be a number");
  }
  if (announcesBody(headers) && request.body === null) {
    // Bun drops it: half a message is worse than none.
    throw badRequest(`a ${method} request with a body is not supported`);
  }
  return host;
}

function isHost(text: string): boolean {
  const match = HOST.exec(text);
  return match !== null && Number(match[1] ?? 0) <= 65_535;
}

/**
 * An offer of h2c is no reason to refuse: the client goes on with HTTP/1.1 when it is ignored
 * (RFC 9110, 7.8), and curl makes one with every `--http2`.
 */
function asksForUpgrade(headers: FrontRequest["headers"]): boolean {
  const protocols = headers.get("upgrade");
  if (protocols === null || /^h2c$/i.test(protocols.trim())) return false;
  return /\bupgrade\b/i.test(headers.get("connection") ?? "");
}

/** A request has a body if its fields frame one, and only then (RFC 9112, 6.3). */
export function announcesBody(headers: FrontRequest["headers"]): boolean {
  const length = headers.get("content-length");
  return (length !== null && Number(length) !== 0) || headers.has("transfer-encoding");
}

function badRequest(message: string): ProxyError {
  return new ProxyError("bad_request", message, { source: "client" });
}
