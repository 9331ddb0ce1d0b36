import type { SocketAddress } from "./config.ts";
import type { Parsed } from "./parsed.ts";

const allowed = "host:port such as 0.0.0.0:8080 or [::1]:8080, or unix:/path";
/** `sun_path` holds 108 bytes on Linux, 104 on macOS, with a final 0. */
const maxUnixPath = 103;

/** `host:port`, `[v6]:port` or `unix:/path`. Port 0 means any free port. */
export function parseAddress(text: string): Parsed<SocketAddress> {
  if (text.startsWith("unix:")) {
    const path = parseUnixPath(text.slice("unix:".length));
    return "value" in path ? { value: { unix: path.value } } : path;
  }
  if (text.includes("://")) return { allowed, reason: "an address has no scheme" };
  const parts = /^(\[[0-9a-fA-F:.]+\]|[^:[\]/\s]+):([0-9]+)$/.exec(text);
  if (!parts) return { allowed };
  const [, host = "", digits = ""] = parts;
  const port = Number(digits);
  if (port > 65535) return { allowed, reason: "a port is at most 65535" };
  return { value: { hostname: host.replace(/^\[|\]$/g, "").toLowerCase(), port } };
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

/** Whether only this machine can reach it. */
export function isLoopback(address: SocketAddress): boolean {
  if ("unix" in address) return true;
  const { hostname } = address;
  return hostname === "localhost" || hostname === "::1" || /^127(\.[0-9]{1,3}){3}$/.test(hostname);
}
