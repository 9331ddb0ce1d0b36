import type { Logger } from "../log.ts";
import type { ExportReport, Signal } from "./export-watch.ts";

const WHAT: Readonly<Record<Signal, string>> = {
  traces: "spans cannot be exported and are dropped",
  metrics: "metrics cannot be exported",
};
const AGAIN: Readonly<Record<Signal, string>> = {
  traces: "spans are exported again",
  metrics: "metrics are exported again",
};

interface Outage {
  /** Processes whose exports fail. */
  readonly sources: Set<number>;
  /** Others were among them, and export again. */
  recovered: boolean;
  lost: number;
}

/** One line when exports begin to fail and one when all work again, however many processes export. */
export class OutageLog {
  readonly #log: Logger;
  /** Where each signal goes, for people. */
  readonly #targets: Readonly<Record<Signal, string | null>>;
  readonly #outages = new Map<Signal, Outage>();

  constructor(log: Logger, targets: Readonly<Record<Signal, string | null>>) {
    this.#log = log;
    this.#targets = targets;
  }

  /** `source` tells the processes apart. */
  receive(source: number, { signal, ok, reason, hint, lost }: ExportReport): void {
    const outage = this.#outages.get(signal);
    if (!ok) {
      if (outage !== undefined) {
        outage.sources.add(source);
        return;
      }
      this.#outages.set(signal, { sources: new Set([source]), recovered: false, lost: 0 });
      this.#log.warn(WHAT[signal], {
        target: this.#targets[signal],
        reason,
        ...(hint === null ? {} : { hint }),
      });
      return;
    }
    if (outage === undefined) return;
    outage.lost += lost;
    outage.recovered = true;
    outage.sources.delete(source);
    this.#endIfOver(signal, outage);
  }

  /** A process has ended: the one that takes its place speaks for itself. */
  gone(source: number): void {
    for (const [signal, outage] of this.#outages) {
      if (outage.sources.delete(source)) this.#endIfOver(signal, outage);
    }
  }

  #endIfOver(signal: Signal, { sources, recovered, lost }: Outage): void {
    if (sources.size > 0) return;
    this.#outages.delete(signal);
    // All that is known otherwise is that nobody exports any more.
    if (!recovered) return;
    const spans = signal === "traces" ? { lostSpans: lost } : {};
    this.#log.info(AGAIN[signal], { target: this.#targets[signal], ...spans });
  }
}
