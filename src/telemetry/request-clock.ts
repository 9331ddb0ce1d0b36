/**
 * Wall-clock time within one request, in milliseconds with fractions.
 *
 * The SDK would anchor each span to `Date.now()` by itself, which is whole milliseconds: an attempt
 * of half a millisecond would then be drawn as ending after its request. All spans of a request
 * share this anchor; a new one per request follows the machine's clock when that is corrected.
 */
export class RequestClock {
  readonly startMs = Date.now();
  readonly #startedAt = performance.now();

  now(): number {
    return this.startMs + (performance.now() - this.#startedAt);
  }
}
