/** Host and port of a Host field. */
export interface Authority {
  /** Without the brackets of an IPv6 address. */
  readonly address: string;
  readonly port: number;
}

/** The port that a Host field without one means is the scheme's. Null when there is no host in it. */
export function parseAuthority(host: string, scheme: "http" | "https"): Authority | null {
  // Read once or twice for each request: only brackets need the regular expression.
  if (host.startsWith("[")) return parseBracketed(host, scheme);
  const colon = host.indexOf(":");
  const address = colon === -1 ? host : host.slice(0, colon);
  const port = colon === -1 ? "" : host.slice(colon + 1);
  // With a user before it, it is no Host either.
  if (address === "" || address.includes("@") || port.length > MAX_DIGITS || !areDigits(port))
    return null;
  return { address, port: portOf(port, scheme) };
}

const MAX_DIGITS = 5;

function parseBracketed(host: string, scheme: "http" | "https"): Authority | null {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{0,5}))?$/.exec(host);
  const address = match?.[1] ?? match?.[2] ?? "";
  return address === "" ? null : { address, port: portOf(match?.[3] ?? "", scheme) };
}

function areDigits(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 48 || code > 57) return false;
  }
  return true;
}

function portOf(digits: string, scheme: "http" | "https"): number {
  if (digits !== "") return Number(digits);
  return scheme === "https" ? 443 : 80;
}
