import { formatAddress, parseUnixPath } from "./address.ts";
import type { SocketAddress } from "./config.ts";
import type { Parsed } from "./parsed.ts";

export interface BackendUrl {
  /** `http://host:port`, the port always there, or `unix:/path`. */
  readonly url: string;
  readonly address: SocketAddress;
  /** The id of a backend that was given none: `host:port`, or the socket's path. */
  readonly defaultId: string;
}

const allowed = "http://host:port or unix:/path";

/** Only an origin: requests keep their own path, and credentials would leak into status and traces. */
export function parseBackendUrl(text: string): Parsed<BackendUrl> {
  const refuse = (reason: string): Parsed<BackendUrl> => ({ allowed, reason });
  if (text.startsWith("unix:")) {
    const path = parseUnixPath(text.slice("unix:".length));
    if (!("value" in path)) return { allowed: `unix: and ${path.allowed}` };
    const unix = path.value;
    return { value: { url: `unix:${unix}`, address: { unix }, defaultId: unix } };
  }
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) {
    const guess = `http://${text}`;
    return refuse(URL.canParse(guess) ? `no scheme; perhaps ${guess}` : "no scheme");
  }
  if (scheme === "https") return refuse("https to backends is not supported yet");
  if (scheme !== "http") return refuse(`the scheme ${scheme} is unknown`);

  const authority = /^[^/?#\\]*/.exec(text.slice("http://".length))?.[0] ?? "";
  if (authority.includes("@")) return refuse("a backend URL has no credentials");
  const digits = /:([0-9]+)$/.exec(authority)?.[1];
  if (digits !== undefined && (Number(digits) < 1 || Number(digits) > 65535)) {
    return refuse("a port is 1 to 65535");
  }
  if (!URL.canParse(text)) return refuse("not a URL");
  const url = new URL(text);
  if (text.includes("?")) return refuse("a backend URL has no query");
  if (text.includes("#")) return refuse("a backend URL has no fragment");
  if (url.pathname !== "/") return refuse("a backend URL has no path");

  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  const address = { hostname, port: url.port === "" ? 80 : Number(url.port) };
  const defaultId = formatAddress(address);
  return { value: { url: `http://${defaultId}`, address, defaultId } };
}

/** What may be shown of a URL that was refused: never its credentials. */
export function withoutCredentials(text: string): string {
  return text.replace(/\/\/[^/?#@\s]*@/, "//…@");
}
