/** Whom we believe about where a request came from, and where it came from then. */
import { BlockList, isIP } from "node:net";
import type { TrustedProxy } from "../config/config.ts";

/** Whether the forwarding fields of this peer are believed; a unix socket's is `""`. */
export type Trust = (address: string) => boolean;

/** More hops than any chain of proxies has: a field that is full of trusted addresses costs no more. */
const MAX_HOPS = 64;

export function createTrust(proxies: readonly TrustedProxy[]): Trust {
  if (proxies.length === 0) return () => false;
  const networks = new BlockList();
  let unix = false;
  for (const proxy of proxies) {
    if (proxy === "unix") unix = true;
    else networks.addSubnet(proxy.address, proxy.prefix, proxy.family);
  }
  return (address) => {
    if (address === "") return unix;
    const version = isIP(address);
    return version !== 0 && networks.check(address, version === 4 ? "ipv4" : "ipv6");
  };
}

/** What listeners for both families say of an IPv4 peer, as that IPv4 address. */
export function withoutMapping(address: string): string {
  return /^::ffff:[\d.]+$/i.test(address) ? address.slice("::ffff:".length) : address;
}

/**
 * The right-most address of `X-Forwarded-For` that is not one of our proxies: everything left of it
 * may be made up. The peer itself when it is not believed, when its field has no such address, and
 * when an entry before that address is none.
 */
export function findClientAddress(
  peer: string,
  forwardedFor: string | null,
  isTrusted: Trust,
): string {
  if (forwardedFor === null || !isTrusted(peer)) return peer;
  let end = forwardedFor.length;
  for (let hop = 0; hop < MAX_HOPS && end >= 0; hop++) {
    const comma = end === 0 ? -1 : forwardedFor.lastIndexOf(",", end - 1);
    const address = readAddress(forwardedFor.slice(comma + 1, end).trim());
    if (address === null) return peer;
    if (!isTrusted(address)) return address;
    end = comma;
  }
  return peer;
}

/** `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`; null: none of these. */
function readAddress(entry: string): string | null {
  // The longest that there is, with brackets and port, has 53 characters.
  if (entry.length > 53 || entry.includes("%")) return null;
  const match = /^(?:\[([^\]]*)\]|([\d.]+))(?::\d{1,5})?$/.exec(entry);
  const [, bracketed, dotted] = match ?? [];
  const address = bracketed ?? dotted ?? entry;
  if (isIP(address) === 0 || (bracketed !== undefined && isIP(address) !== 6)) return null;
  return withoutMapping(address);
}
