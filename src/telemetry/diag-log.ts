import type { DiagLogger } from "@opentelemetry/api";
import type { Logger } from "../log.ts";
import { shortened } from "./shortened.ts";

/** The same complaint again within this time is not logged. */
const QUIET_MS = 60_000;
/** More kinds of complaints than this are not told apart, and not logged. */
const MAX_KINDS = 100;

/**
 * The SDK's own messages in our log. It repeats some of them per batch ("Dropped 17 spans …"), so
 * messages that differ only in numbers and ids are logged once a minute.
 */
export function createDiagLog(log: Logger, now: () => number): DiagLogger {
  const lastAt = new Map<string, number>();
  const limited =
    (write: (message: string) => void) =>
    (message: string, ...rest: unknown[]) => {
      const text = describe(message, rest);
      const kind = text.replace(/[0-9a-f]{8,}|\d+/g, "#");
      const last = lastAt.get(kind);
      if (last === undefined ? lastAt.size >= MAX_KINDS : now() - last < QUIET_MS) return;
      lastAt.set(kind, now());
      write(`opentelemetry: ${text}`);
    };
  return {
    error: limited((message) => log.error(message)),
    warn: limited((message) => log.warn(message)),
    info: limited((message) => log.info(message)),
    // Only who asked for these gets them, and our own log shows nothing below.
    debug: limited((message) => log.info(message)),
    verbose: limited((message) => log.info(message)),
  };
}

/** Objects are left out: they are whole batches of spans. */
function describe(message: string, rest: readonly unknown[]): string {
  const parts = [message];
  for (const part of rest) {
    if (part instanceof Error) parts.push(shortened(part.message));
    // A collector's own words may be among them.
    else if (typeof part !== "object") parts.push(shortened(String(part)));
  }
  return parts.join(" ");
}
