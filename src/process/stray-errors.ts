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
      error: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown),
      count: this.#count,
    });
  }
}
