import { formatAddress } from "../config/address.ts";
import type { SocketAddress } from "../config/config.ts";
import { RuntimeError } from "../errors.ts";

/**
 * Binds the address alone for a moment and returns it with its real port (0 asks for a free one).
 * Two listeners with `reusePort` on one address would silently share it; this way the second
 * instance learns that the port is taken.
 *
 * Throws RuntimeError naming the address.
 */
export function probeAddress(address: SocketAddress, flag: string): SocketAddress {
  if ("unix" in address) return address;
  try {
    const listener = Bun.listen({ ...address, socket: { data() {} } });
    const { port } = listener;
    listener.stop(true);
    return { hostname: address.hostname, port };
  } catch (error) {
    throw bindError(address, error, flag);
  }
}

export function bindError(address: SocketAddress, error: unknown, flag: string): RuntimeError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const reasons: Record<string, string> = {
    EADDRINUSE: "is taken by another program",
    EACCES: "needs more rights (ports below 1024 often do)",
    EADDRNOTAVAIL: "is no address of this machine",
  };
  const why = reasons[code] ?? `cannot be used (${error instanceof Error ? error.message : code})`;
  return new RuntimeError(`${formatAddress(address)} ${why}: choose another with ${flag}`, {
    cause: error,
  });
}
