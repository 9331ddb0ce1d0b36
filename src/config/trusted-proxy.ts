import { isIP } from "node:net";
import type { TrustedProxy } from "./config.ts";
import type { Parsed } from "./parsed.ts";

const allowed = 'an IP address, a network such as 10.0.0.0/8 or 2001:db8::/32, or "unix"';

/** An address, a network in CIDR notation, or `unix` for whoever connects over a unix socket. */
export function parseTrustedProxy(text: string): Parsed<TrustedProxy> {
  if (text === "unix") return { value: "unix" };
  const [address = "", length, ...more] = text.split("/");
  const version = isIP(address);
  if (version === 0 || address.includes("%") || more.length > 0) return { allowed };
  // Peers are compared by the IPv4 address in them: it would never match.
  if (/^::ffff:/i.test(address)) return { allowed, reason: "IPv4 inside IPv6" };
  const bits = version === 4 ? 32 : 128;
  const prefix = length === undefined ? bits : Number(length);
  if (length !== undefined && !/^(0|[1-9]\d{0,2})$/.test(length)) return { allowed };
  if (prefix > bits) return { allowed, reason: `a network of more than ${bits} bits` };
  return { value: { address, prefix, family: version === 4 ? "ipv4" : "ipv6" } };
}
