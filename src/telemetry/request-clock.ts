/**
 * Wall-clock time within one request, in milliseconds since 1970 with fractions.
 *
 * All spans of a request share this anchor: from `Date.now()` alone, which is whole milliseconds, an
 * attempt of half a millisecond would be drawn as ending after its request. A new one per request
 * follows the machine's clock when that is corrected.
 */
export class RequestClock {
  /** The request's, and so its span is as long as metrics and the access log say. */
  readonly startMs: number;
  readonly #startedAt: number;

  /** `startedAt`: by the process's monotonic clock, `performance.now()`. */
  constructor(startedAt: number) {
    this.startMs = Date.now() - (performance.now() - startedAt);
    this.#startedAt = startedAt;
  }

  now(): number {
    return this.startMs + (performance.now() - this.#startedAt);
  }
}
