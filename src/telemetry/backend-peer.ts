import type { AttributeValue } from "@opentelemetry/api";
import type { Backend } from "../plugin.ts";
import { NETWORK_PEER_ADDRESS, NETWORK_PEER_PORT } from "./attributes.ts";
import { parseAuthority } from "./authority.ts";

/** What is known of a backend's connection before it is made. */
export interface BackendPeer {
  readonly scheme: "http" | "https";
  /** Empty for a backend named by host name: the address it resolves to is the transport's affair. */
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

/** `url` is `http://host:port`, `https://host:port` or `unix:/path`. */
export function backendPeer(backend: Backend): BackendPeer {
  if (backend.url.startsWith("unix:")) {
    return {
      scheme: "http",
      attributes: { [NETWORK_PEER_ADDRESS]: backend.url.slice("unix:".length) },
    };
  }
  const scheme = backend.url.startsWith("https:") ? "https" : "http";
  const host = backend.url.slice(scheme.length + "://".length);
  const authority = parseAuthority(host, scheme);
  if (authority === null || !isAddress(authority.address)) return { scheme, attributes: {} };
  return {
    scheme,
    attributes: { [NETWORK_PEER_ADDRESS]: authority.address, [NETWORK_PEER_PORT]: authority.port },
  };
}

/** Host names neither contain a colon nor end in a number (RFC 1123, WHATWG URL). */
function isAddress(host: string): boolean {
  return host.includes(":") || /^\d+(\.\d+){3}$/.test(host);
}
