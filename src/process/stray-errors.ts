import { describeThrown } from "../config/describe.ts";
import type { Logger } from "../log.ts";

/** One line a second: a strategy that leaks an error per request must not fill the disk. */
const LOG_EVERY_MS = 1000;

/**
 * Errors that nobody waits for: a forgotten promise or a timer of a strategy. They must not end the
 * process, which serves other requests too. Logged at most once a second, with how many went before.
 */
export class StrayErrors {
  readonly #log: Logger;
  readonly #now: () => number;
  #loggedAtMs = Number.NEGATIVE_INFINITY;
  #count = 0;

  /** `now` is monotonic milliseconds. */
  constructor(log: Logger, now: () => number) {
    this.#log = log;
    this.#now = now;
  }

  report(thrown: unknown): void {
    this.#count++;
    if (this.#now() - this.#loggedAtMs < LOG_EVERY_MS) return;
    this.#loggedAtMs = this.#now();
    this.#log.error("an error that nobody handles, most likely of a strategy", {
      error: textOf(thrown),
      count: this.#count,
    });
  }
}

/** A throw in here would end the process, and anything at all can be thrown: text is made of it with care. */
function textOf(thrown: unknown): string {
  try {
    const stack: unknown = thrown instanceof Error ? thrown.stack : thrown;
    if (typeof stack === "string") return stack;
  } catch {
    // A revoked Proxy, or a getter.
  }
  return describeThrown(thrown);
}
