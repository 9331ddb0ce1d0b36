import type { HrTime } from "@opentelemetry/api";

/**
 * Wall-clock time within one request, in the SDK's seconds and nanoseconds: any other form it would
 * turn into these, with a look at the clock of its own each time.
 *
 * The SDK would anchor each span to `Date.now()` by itself, which is whole milliseconds: an attempt
 * of half a millisecond would then be drawn as ending after its request. All spans of a request
 * share this anchor; a new one per request follows the machine's clock when that is corrected.
 */
export class RequestClock {
  readonly #startMs = Date.now();
  readonly #startedAt = performance.now();

  start(): HrTime {
    return hrTime(this.#startMs);
  }

  now(): HrTime {
    return hrTime(this.#startMs + (performance.now() - this.#startedAt));
  }
}

function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.floor((ms - seconds * 1000) * 1e6)];
}
