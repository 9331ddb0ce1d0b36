/** What the master remembers of one backend's ejections. */
export class EjectionRecord {
  /** Ejections in a row, less what was forgiven: the factor of the next one's length is one more. */
  #count = 0;
  #ejectedAtMs = 0;
  #goodProbes = 0;
  /** The current stretch that must pass without a failure began here. */
  #watchedSinceMs = 0;
  #failuresThen = 0;

  /** Returns the factor of this ejection's length. */
  ejected(nowMs: number): number {
    this.#count += 1;
    this.#ejectedAtMs = nowMs;
    this.#goodProbes = 0;
    return this.#count;
  }

  returned(nowMs: number, failures: number): void {
    this.#watchedSinceMs = nowMs;
    this.#failuresThen = failures;
  }

  /** Returns how many probes in a row were good. One that began before the ejection says nothing about after. */
  probed(good: boolean, startedAtMs: number): number {
    if (startedAtMs >= this.#ejectedAtMs) this.#goodProbes = good ? this.#goodProbes + 1 : 0;
    return this.#goodProbes;
  }

  /** When the next stretch of `baseMs` ends; null when nothing is left to forgive. */
  forgivenAtMs(baseMs: number): number | null {
    return this.#count === 0 ? null : this.#watchedSinceMs + baseMs;
  }

  /** Takes one ejection off for a `baseMs` in which `failures`, the backend's total, did not grow. */
  forgive(nowMs: number, baseMs: number, failures: number): void {
    const due = this.forgivenAtMs(baseMs);
    if (due === null || nowMs < due) return;
    if (failures === this.#failuresThen) this.#count -= 1;
    this.returned(nowMs, failures);
  }
}
