import type { Outcome } from "../plugin.ts";
import type { Counters } from "../pool/counters.ts";
import type { Admission } from "./admission.ts";
import { countsAsFailure } from "./attempts.ts";

/** What a worker tells the master. */
export interface SettlementReports {
  /** Enough failures in a row, over all workers, to eject. Again after as many more, if it was not. */
  onFailing(row: number): void;
  /** `trial` is the number that `Counters.takeTrial` gave. */
  onTrialEnded(row: number, trial: number, ok: boolean): void;
}

export interface SettlementOptions extends SettlementReports {
  readonly counters: Counters;
  /** Failures in a row that eject; null: no ejection. */
  readonly failures: number | null;
}

/**
 * Counts how one attempt went for its backend, in this worker: at the response head, where a
 * success or a 5xx is known, or when it failed. Every call after the verdict is ignored, except a
 * failure after a good head. All of it under the lease: without, the row may be another backend's.
 */
export class Settlement {
  readonly #options: SettlementOptions;
  readonly #admission: Admission;
  #blamed = false;
  /** Failures in a row that this attempt's good head ended, and how many attempts had gone well then. */
  #cleared = 0;
  #successes = 0;

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
    const { counters } = this.#options;
    this.#cleared = counters.clearConsecutiveFailures(this.#admission.row);
    if (this.#cleared > 0) this.#successes = successes(counters, this.#admission.row);
    const trial = this.#admission.takeTrial();
    if (trial !== null) this.#options.onTrialEnded(this.#admission.row, trial, true);
  }

  /**
   * The attempt ended, before or after its head. A body that breaks takes back what its head said:
   * otherwise a backend that truncates every answer would never have two failures in a row. Unless
   * others have gone well since: a stream that breaks after an hour must not bring old failures back.
   */
  ended(outcome: Outcome): void {
    if (countsAsFailure(outcome, null)) this.#blame();
  }

  #blame(): void {
    if (this.#blamed) return;
    this.#blamed = true;
    const { counters, failures, onFailing, onTrialEnded } = this.#options;
    const { row, worker } = this.#admission;
    const takesBack = this.#cleared > 0 && successes(counters, row) === this.#successes;
    counters.countFailure(row, worker);
    const added = takesBack ? this.#cleared + 1 : 1;
    const inARow = counters.addConsecutiveFailures(row, added);
    const trial = this.#admission.takeTrial();
    if (trial !== null) {
      onTrialEnded(row, trial, false);
    } else if (
      failures !== null &&
      Math.floor(inARow / failures) > Math.floor((inARow - added) / failures)
    ) {
      onFailing(row);
    }
  }
}

/** Attempts that have ended well; one that is under way is not among them. */
function successes(counters: Counters, row: number): number {
  return counters.requests(row) - counters.failures(row) - counters.inFlight(row);
}
