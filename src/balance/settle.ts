import type { Outcome } from "../plugin.ts";
import type { Counters } from "../pool/counters.ts";
import type { Admission } from "./admission.ts";
import { countsAsFailure } from "./attempts.ts";

/** What a worker tells the master. */
export interface SettlementReports {
  /** Enough failures in a row, over all workers, to eject. Again after as many more, if it was not. */
  onFailing(row: number): void;
  onTrialEnded(row: number, ok: boolean): void;
}

export interface SettlementOptions extends SettlementReports {
  readonly counters: Counters;
  /** Failures in a row that eject; null: no ejection. */
  readonly failures: number | null;
}

/**
 * Counts how one attempt went for its backend, in this worker: at the response head, where a
 * success or a 5xx is known, or when it failed. Every call after the verdict is ignored, except a
 * failure after a good head.
 */
export class Settlement {
  readonly #options: SettlementOptions;
  readonly #admission: Admission;
  #blamed = false;
  /** Failures in a row that this attempt's good head ended. */
  #cleared = 0;

  /** The attempt starts. */
  constructor(options: SettlementOptions, admission: Admission) {
    this.#options = options;
    this.#admission = admission;
    options.counters.countRequest(admission.row, admission.worker);
  }

  responded(status: number): void {
    if (countsAsFailure("ok", status)) {
      this.#blame();
      return;
    }
    this.#cleared = this.#options.counters.clearConsecutiveFailures(this.#admission.row);
    if (this.#admission.takeTrial()) this.#options.onTrialEnded(this.#admission.row, true);
  }

  /**
   * The attempt ended, before or after its head. A body that breaks takes back what its head said:
   * otherwise a backend that truncates every answer would never have two failures in a row.
   */
  ended(outcome: Outcome): void {
    if (countsAsFailure(outcome, null)) this.#blame();
  }

  #blame(): void {
    if (this.#blamed) return;
    this.#blamed = true;
    const { counters, failures, onFailing, onTrialEnded } = this.#options;
    const { row, worker } = this.#admission;
    counters.countFailure(row, worker);
    const added = this.#cleared + 1;
    const inARow = counters.addConsecutiveFailures(row, added);
    if (this.#admission.takeTrial()) {
      onTrialEnded(row, false);
    } else if (
      failures !== null &&
      Math.floor(inARow / failures) > Math.floor((inARow - added) / failures)
    ) {
      onFailing(row);
    }
  }
}
