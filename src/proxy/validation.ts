/** What a request must be before anything is done with it. */
import { ProxyError } from "../errors.ts";
import type { FrontRequest } from "./front.ts";

/**
 * `uri-host [ ":" port ]` (RFC 9110, 7.2), with the characters of reg-name but no user, no path, and no
 * percent-encoding, which no host needs and which programs decode differently.
 */
const HOST = /^(?:[A-Za-z0-9\-._~!$&'()*+;=]+|\[[0-9A-Fa-f:.]+\])(?::(\d{0,5}))?$/;

/** Returns the Host field; empty only for an HTTP/1.0 request that has none. Throws ProxyError. */
export function validateRequest(request: FrontRequest): string {
  const { method, headers, target, authority } = request;
  if (request.version === "1.1" && !headers.has("host")) {
    // The runtime looks for it, but not beside Upgrade or with CONNECT.
    throw badRequest("an HTTP/1.1 request must have a Host field");
  }
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
  if (authority !== null && withoutPort80(authority) !== withoutPort80(host)) {
    // RFC 9112, 3.2.2 lets the target win; what is in front of us may have looked at the other one.
    throw badRequest("the host in the request target and the Host field must be the same");
  }
  if (!target.startsWith("/")) {
    throw badRequest("the request target must be a path, for example /index.html");
  }
  if (/[^\x21-\x7e]/.test(target)) {
    // Whatever front it came from: the request line is written byte by byte.
    throw badRequest("the request target must be printable ASCII, percent-encoded where it is not");
  }
  if (asksForUpgrade(headers)) {
    throw new ProxyError("upgrade_not_supported", "protocol upgrades are not supported", {
      source: "client",
    });
  }
  refuseFraming(request);
  return host;
}

function withoutPort80(authority: string): string {
  return authority.toLowerCase().replace(/:80$/, "");
}

function isHost(text: string): boolean {
  const match = HOST.exec(text);
  return match !== null && Number(match[1] ?? 0) <= 65_535;
}

/** What the runtime lets pass, or sees another way, of what RFC 9112, 6.3 and RFC 9110, 8.6 refuse. */
function refuseFraming({ headers, version, body }: FrontRequest): void {
  const length = headers.get("content-length");
  const coding = headers.get("transfer-encoding");
  if (length !== null && !/^\d+$/.test(length)) {
    throw badRequest("there must be one Content-Length field at most, and it must be a number");
  }
  if (coding !== null) {
    if (length !== null) throw badRequest("a body has a Content-Length or a Transfer-Encoding");
    if (version === "1.0") throw badRequest("HTTP/1.0 has no Transfer-Encoding");
    if (!isChunked(headers)) {
      throw badRequest("the Transfer-Encoding must be chunked alone");
    }
  }
  if ((coding !== null || Number(length) > 0) && body === null) {
    throw badRequest("the body of the request was not found");
  }
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

/** The only Transfer-Encoding that we take off. */
export function isChunked(headers: FrontRequest["headers"]): boolean {
  return /^[\s,]*chunked[\s,]*$/i.test(headers.get("transfer-encoding") ?? "");
}

function badRequest(message: string): ProxyError {
  return new ProxyError("bad_request", message, { source: "client" });
}
