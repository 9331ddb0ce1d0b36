import type { LogFields, Logger } from "../log.ts";
import type { StrategyFault } from "./fault.ts";

/** At least this many milliseconds lie between two reports of one pool. */
const INTERVAL_MS = 1000;

export interface FaultLogOptions {
  readonly log: Logger;
  /** Monotonic milliseconds. */
  now(): number;
  /** Goes with every line. */
  readonly fields: LogFields;
}

/** Reports faults at most once a second: a broken strategy faults with every request. */
export class FaultLog {
  readonly #options: FaultLogOptions;
  #reportedAt = -Infinity;
  #unreported = 0;

  constructor(options: FaultLogOptions) {
    this.#options = options;
  }

  /** `faults` is how many there have been, with this one. */
  report(fault: StrategyFault, faults: number): void {
    const now = this.#options.now();
    if (now - this.#reportedAt < INTERVAL_MS) {
      this.#unreported++;
      return;
    }
    this.#options.log.warn(`strategy fault: ${fault.message}`, {
      ...this.#options.fields,
      faults,
      unreported: this.#unreported,
    });
    this.#reportedAt = now;
    this.#unreported = 0;
  }

  /** Happens once per instance, so it is never held back. */
  quarantined(fault: StrategyFault, faultsInARow: number, faults: number): void {
    this.#options.log.error(
      `strategy quarantined after ${faultsInARow} faults in a row, least connections answers ` +
        `until it is loaded again: ${fault.message}`,
      { ...this.#options.fields, faults },
    );
  }
}
