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
  #refused = false;
  #overflowing = false;
  #told = false;
  #lost = 0;

  constructor(signal: Signal, report: (report: ExportReport) => void) {
    this.#signal = signal;
    this.#report = report;
  }

  /** Spans lost that no report has told of. */
  get untold(): number {
    return this.#lost;
  }

  /** A try failed; more tries may follow. */
  failed(reason: string, hint: string | null): void {
    this.#refused = true;
    this.#begin(reason, hint);
  }

  /** More comes than is taken: accepted exports are no end of that. */
  overflowed(reason: string, hint: string | null): void {
    this.#overflowing = true;
    this.#begin(reason, hint);
  }

  /** Given up, or not taken in. */
  lost(spans: number): void {
    this.#lost += spans;
  }

  /** An export was accepted. */
  succeeded(): void {
    this.#refused = false;
    this.#end();
  }

  /** What comes is taken again. */
  drained(): void {
    this.#overflowing = false;
    this.#end();
  }

  #begin(reason: string, hint: string | null): void {
    if (this.#told) return;
    this.#told = true;
    this.#report({ signal: this.#signal, ok: false, reason, hint, lost: 0 });
  }

  #end(): void {
    if (!this.#told || this.#refused || this.#overflowing) return;
    this.#told = false;
    const lost = this.#lost;
    this.#lost = 0;
    this.#report({ signal: this.#signal, ok: true, reason: null, hint: null, lost });
  }
}
