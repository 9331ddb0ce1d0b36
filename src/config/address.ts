import type { SocketAddress } from "./config.ts";
import type { Parsed } from "./parsed.ts";

/** Where clients connect unless told otherwise. */
export const DEFAULT_LISTEN = "0.0.0.0:8080";
/** Where the admin API listens unless told otherwise. */
export const DEFAULT_ADMIN = "127.0.0.1:9900";

const allowed = "host:port such as 0.0.0.0:8080 or [::1]:8080, or unix:/path";
/** `sun_path` holds 108 bytes on Linux, 104 on macOS, with a final 0; sockets are made under a name that is one longer. */
const maxUnixPath = 102;

/**
 * `host:port`, `[v6]:port` or `unix:/path`. Port 0 means any free port. `usualHost` is what somebody
 * who wrote only a port is told to put before it.
 */
export function parseAddress(text: string, usualHost = "0.0.0.0"): Parsed<SocketAddress> {
  if (text.startsWith("unix:")) {
    const path = parseUnixPath(text.slice("unix:".length));
    return "value" in path ? { value: { unix: path.value } } : path;
  }
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(text)?.[0];
  if (scheme !== undefined) return { allowed, reason: `leave out ${scheme}` };
  const lonePort = /^:?([0-9]{1,5})$/.exec(text)?.[1];
  if (lonePort !== undefined) {
    return { allowed, reason: `no host; perhaps ${usualHost}:${lonePort}` };
  }
  const parts = /^(\[[0-9a-fA-F:.]+\]|[^:[\]/\s]+):([0-9]+)$/.exec(text);
  if (!parts) return { allowed };
  const [, host = "", digits = ""] = parts;
  const port = Number(digits);
  if (port > 65535) return { allowed, reason: "a port is at most 65535" };
  return { value: { hostname: host.replace(/^\[|\]$/g, "").toLowerCase(), port } };
}

/** As `parseAddress`; the admin API is not for everybody who can reach this machine. */
export function parseAdminAddress(text: string): Parsed<SocketAddress> {
  return parseAddress(text, "127.0.0.1");
}

/** An absolute path, short enough for a socket. */
export function parseUnixPath(path: string): Parsed<string> {
  const absolute = "an absolute path such as /run/leastwise.sock";
  if (!path.startsWith("/")) return { allowed: absolute };
  if (Buffer.byteLength(path) > maxUnixPath || path.includes("\0")) {
    return { allowed: `${absolute} of at most ${maxUnixPath} bytes` };
  }
  return { value: path.replace(/^\/+/, "/") };
}

/** `host:port` with brackets around IPv6, or `unix:/path`: the text that `parseAddress` reads back. */
export function formatAddress(address: SocketAddress): string {
  if ("unix" in address) return `unix:${address.unix}`;
  const { hostname, port } = address;
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

/** The Host field of a request to it: without port 80, and `localhost` for a unix socket, which has none. */
export function authorityOf(address: SocketAddress): string {
  if ("unix" in address) return "localhost";
  const text = formatAddress(address);
  return address.port === 80 ? text.slice(0, -":80".length) : text;
}

/** Whether both name one address, in whatever spelling. */
export function isSameAddress(a: SocketAddress, b: SocketAddress): boolean {
  if ("unix" in a || "unix" in b) return "unix" in a && "unix" in b && a.unix === b.unix;
  return a.port === b.port && canonicalHost(a.hostname) === canonicalHost(b.hostname);
}

/**
 * Whether somebody who connects may reach either. All addresses of a port (0.0.0.0, ::) contain each
 * of them; port 0 is another free port each time.
 */
export function addressesOverlap(a: SocketAddress, b: SocketAddress): boolean {
  if ("unix" in a || "unix" in b) return isSameAddress(a, b);
  if (a.port !== b.port || a.port === 0) return false;
  const [first, second] = [hostsOf(a.hostname), hostsOf(b.hostname)];
  if ([...first, ...second].some((host) => host === "0.0.0.0" || host === "::")) return true;
  return first.some((host) => second.includes(host));
}

/** Whether only this machine can reach it. */
export function isLoopback(address: SocketAddress): boolean {
  if ("unix" in address) return true;
  const { hostname } = address;
  return hostname === "localhost" || hostname === "::1" || /^127(\.[0-9]{1,3}){3}$/.test(hostname);
}

function hostsOf(hostname: string): string[] {
  return hostname === "localhost" ? ["127.0.0.1", "::1"] : [canonicalHost(hostname)];
}

/** One spelling per address: `0:0:0:0:0:0:0:1` is `::1`, `127.1` and `::ffff:127.0.0.1` are `127.0.0.1`. */
function canonicalHost(hostname: string): string {
  const url = `http://${hostname.includes(":") ? `[${hostname}]` : hostname}`;
  if (!URL.canParse(url)) return hostname;
  const host = new URL(url).hostname.replace(/^\[|\]$/g, "");
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(host) ?? [];
  if (high === undefined || low === undefined) return host;
  const [left, right] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return [left >> 8, left & 255, right >> 8, right & 255].join(".");
}
