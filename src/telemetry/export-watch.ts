export type Signal = "traces" | "metrics";

/** That exports began to fail, or work again. Plain data: it travels from workers to the master. */
export interface ExportReport {
  readonly signal: Signal;
  readonly ok: boolean;
  /** What became of the first export that failed; null when they work again. */
  readonly reason: string | null;
  /** What to change, where the kind of failure tells. */
  readonly hint: string | null;
  /** Spans lost since the failure began; of metrics 0, they are cumulative. */
  readonly lost: number;
}

/** Follows one process's exports of one signal, and tells when they begin to fail and when that is over. */
export class ExportWatch {
  readonly #signal: Signal;
  readonly #report: (report: ExportReport) => void;
  #failing = false;
  #lost = 0;

  constructor(signal: Signal, report: (report: ExportReport) => void) {
    this.#signal = signal;
    this.#report = report;
  }

  /** A try failed; more tries may follow. */
  failed(reason: string, hint: string | null): void {
    if (this.#failing) return;
    this.#failing = true;
    this.#report({ signal: this.#signal, ok: false, reason, hint, lost: 0 });
  }

  /** Given up, or not taken in. */
  lost(spans: number): void {
    this.#lost += spans;
  }

  /** An export was accepted. */
  succeeded(): void {
    if (!this.#failing) return;
    this.#report({ signal: this.#signal, ok: true, reason: null, hint: null, lost: this.#lost });
    this.#failing = false;
    this.#lost = 0;
  }
}
