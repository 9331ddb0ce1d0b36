/** Host and port of a Host field. */
export interface Authority {
  /** Without the brackets of an IPv6 address. */
  readonly address: string;
  readonly port: number;
}

/** The port that a Host field without one means is the scheme's. Null when there is no host in it. */
export function parseAuthority(host: string, scheme: "http" | "https"): Authority | null {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{0,5}))?$/.exec(host);
  const address = match?.[1] ?? match?.[2] ?? "";
  if (address === "") return null;
  const port = match?.[3] ? Number(match[3]) : scheme === "https" ? 443 : 80;
  return { address, port };
}
