import type { SocketCalls } from "../transport/socket-calls.ts";
import type { Descriptors } from "./descriptors.ts";

/** What the kernel may hold of an answer that cannot be on its way yet, because the client has no room for it. */
const UNSENT_BYTES = 128 * 1024;

/**
 * Limits what the kernel keeps for slow readers, for the listener on a port: the connections that it
 * accepts inherit the option. Without it the kernel takes 4 MB ahead and has room for more only when a
 * third of that was read: a client that reads 20 KB a second would look for a minute as if it had
 * stopped. A fast one is not slowed down, since what is on its way to it does not count.
 *
 * Returns whether there was such a listener.
 */
export function limitUnsent(calls: SocketCalls, descriptors: Descriptors, port: number): boolean {
  let limited = false;
  for (const descriptor of descriptors.list()) {
    if (calls.local(descriptor)?.port !== port || !calls.isListening(descriptor)) continue;
    calls.limitUnsent(descriptor, UNSENT_BYTES);
    limited = true;
  }
  return limited;
}
