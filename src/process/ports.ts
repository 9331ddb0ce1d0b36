import { existsSync, lstatSync, readFileSync, unlinkSync } from "node:fs";
import { formatAddress } from "../config/address.ts";
import type { SocketAddress } from "../config/config.ts";
import { RuntimeError } from "../errors.ts";
import { waitingName } from "./socket-file.ts";

/**
 * Binds the address alone for a moment and returns it with its real port (0 asks for a free one).
 * Two listeners with `reusePort` on one address would silently share it; this way the second
 * instance learns that the port is taken. A unix socket that nobody listens on any more is removed.
 * `place` names where the address comes from, by flag and in the file. `promised`: what was found
 * before and is not bound yet, so that the kernel may give its port out again (Linux did so once in
 * 7,000 times).
 *
 * Throws RuntimeError naming the address.
 */
export async function probeAddress(
  address: SocketAddress,
  place: string,
  promised: readonly SocketAddress[] = [],
): Promise<SocketAddress> {
  await removeStaleSocket(address);
  try {
    const socket = { data() {} };
    if ("unix" in address) {
      Bun.listen({ unix: address.unix, socket }).stop(true);
      return address;
    }
    const isPromised = (port: number): boolean =>
      promised.some((each) => "port" in each && each.port === port);
    for (;;) {
      const listener = Bun.listen({ ...address, socket });
      const { port } = listener;
      listener.stop(true);
      if (address.port !== 0 || !isPromised(port)) return { hostname: address.hostname, port };
    }
  } catch (error) {
    throw bindError(address, error, place);
  }
}

/** A process that was killed leaves its unix socket behind, and nobody can bind the path then. */
export async function removeStaleSocket(address: SocketAddress): Promise<void> {
  if (!("unix" in address) || !isSocket(address.unix)) return;
  try {
    const socket = await Bun.connect({ unix: address.unix, socket: { data() {} } });
    socket.terminate();
  } catch (error) {
    // Anything else (no rights) may be somebody who is alive.
    if (codeOf(error) === "ECONNREFUSED" && !isListed(address.unix)) unlinkSync(address.unix);
  }
}

/** A listener that is too busy refuses as a dead one does (Bun 1.4.5): the kernel knows who is alive. */
function isListed(path: string): boolean {
  const table = "/proc/net/unix";
  if (!existsSync(table)) return false;
  return readFileSync(table, "utf8")
    .split("\n")
    .some((line) => {
      // Connections have the name of the listener that accepted them, which may be gone.
      const [, , , flags] = line.split(" ", 4);
      if (flags !== ACCEPTS) return false;
      return [path, waitingName(path)].some((name) => line.endsWith(` ${name}`));
    });
}

/** `__SO_ACCEPTCON`, as the kernel prints it. */
const ACCEPTS = "00010000";

/** Where an address that clients use comes from, for `bindError`. */
export function listenPlace(index: number): string {
  return `--listen or listen[${index}].address`;
}

export function bindError(address: SocketAddress, error: unknown, place: string): RuntimeError {
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  const why = REASONS[code] ?? `cannot be used (${message})`;
  const taken = code === "EADDRINUSE" && "unix" in address && !isSocket(address.unix);
  const reason = taken ? "is a file that is no socket" : why;
  return new RuntimeError(`${formatAddress(address)} ${reason}: choose another with ${place}`, {
    cause: error,
  });
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "is taken by another program",
  EACCES: "needs more rights (ports below 1024 often do)",
  EADDRNOTAVAIL: "is no address of this machine",
  ENOENT: "is in a folder that does not exist",
};

function isSocket(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
