/**
 * Whether an IP address is loopback, private (RFC 1918, RFC 4193) or link-local (RFC 3927, RFC 4291):
 * peers that can only be on this machine or in the operator's own network. IPv4-mapped IPv6
 * addresses count as the IPv4 address in them; anything that is no IP address is not private.
 */
export function isPrivateAddress(address: string): boolean {
  const zone = address.indexOf("%");
  const bare = zone === -1 ? address : address.slice(0, zone);
  return bare.includes(":") ? isPrivateV6(bare.toLowerCase()) : isPrivateV4(bare);
}

function isPrivateV4(address: string): boolean {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(address);
  if (match === null) return false;
  const [first = 0, second = 0, third = 0, fourth = 0] = match.slice(1).map(Number);
  if (first > 255 || second > 255 || third > 255 || fourth > 255) return false;
  return (
    first === 127 ||
    first === 10 ||
    (first === 172 && second >= 16 && second <= 31) ||
    (first === 192 && second === 168) ||
    (first === 169 && second === 254)
  );
}

function isPrivateV6(address: string): boolean {
  const groups = parseV6(address);
  if (groups === null) return false;
  const [first = 0, , , , , sixth = 0, seventh = 0, eighth = 0] = groups;
  if (groups.slice(0, 5).every((group) => group === 0)) {
    if (sixth === 0 && seventh === 0 && eighth === 1) return true;
    if (sixth === 0xffff) {
      return isPrivateV4(`${seventh >> 8}.${seventh & 255}.${eighth >> 8}.${eighth & 255}`);
    }
  }
  return (first & 0xfe00) === 0xfc00 || (first & 0xffc0) === 0xfe80;
}

/** Eight 16-bit groups, or null when it is no IPv6 address. The last 32 bits may be dotted decimal. */
function parseV6(address: string): number[] | null {
  const halves = address.split("::");
  if (halves.length > 2) return null;
  const head = parseGroups(halves[0] ?? "");
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? "") : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  return [...head, ...Array.from({ length: missing }, () => 0), ...tail];
}

function parseGroups(text: string): number[] | null {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    const dotted =
      index === parts.length - 1 ? /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(part) : null;
    if (dotted !== null) {
      const [a = 0, b = 0, c = 0, d = 0] = dotted.slice(1).map(Number);
      if (a > 255 || b > 255 || c > 255 || d > 255) return null;
      groups.push((a << 8) | b, (c << 8) | d);
    } else if (/^[0-9a-f]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else {
      return null;
    }
  }
  return groups;
}
