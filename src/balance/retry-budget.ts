const WINDOW_MS = 10_000;
const BUCKETS = 10;
const BUCKET_MS = WINDOW_MS / BUCKETS;
const FLOOR_PER_SECOND = 3;

/**
 * Keeps retries to a fraction of the requests of the last 10 seconds, so that backends that all fail
 * see at most `1 + fraction` times the load instead of `attempts` times. A floor of 3 retries a second
 * lets a pool with little traffic retry at all. One per pool and worker.
 *
 * After Finagle's RetryBudget (also in linkerd: ttl 10 s, 20 %, floor 10 a second), whose requests earn
 * and retries spend within a sliding window. There the floor is added to what requests earn; here it is
 * the least that is allowed, so that a busy pool's backends never see more than the fraction.
 */
export class RetryBudget {
  readonly #fraction: number;
  readonly #now: () => number;
  readonly #requests = new Float64Array(BUCKETS);
  readonly #retries = new Float64Array(BUCKETS);
  /** Number of the current bucket since the clock's zero. */
  #bucket: number;

  /** `now` is monotonic milliseconds. */
  constructor(options: { readonly fraction: number; readonly now: () => number }) {
    this.#fraction = options.fraction;
    this.#now = options.now;
    this.#bucket = this.#currentBucket();
  }

  /** A client's request is here; it earns its fraction of a retry. Once per request, not per attempt. */
  request(): void {
    this.#add(this.#requests);
  }

  /** Spends one retry, or says that there is none left. */
  tryRetry(): boolean {
    this.#forget();
    const earned = this.#fraction * sum(this.#requests);
    const allowed = Math.max(earned, (FLOOR_PER_SECOND * WINDOW_MS) / 1000);
    // 0.29 * 100 is 28.999999999999996: a rounding error must not cost a retry.
    if (sum(this.#retries) + 1 > allowed + 1e-9) return false;
    this.#add(this.#retries);
    return true;
  }

  #add(counts: Float64Array): void {
    this.#forget();
    const index = this.#bucket % BUCKETS;
    counts[index] = (counts[index] ?? 0) + 1;
  }

  /** Empties the buckets that have left the window since the last call. */
  #forget(): void {
    const current = this.#currentBucket();
    const passed = Math.min(current - this.#bucket, BUCKETS);
    for (let i = 0; i < passed; i++) {
      const index = (current - i) % BUCKETS;
      this.#requests[index] = 0;
      this.#retries[index] = 0;
    }
    this.#bucket = Math.max(current, this.#bucket);
  }

  #currentBucket(): number {
    return Math.floor(this.#now() / BUCKET_MS);
  }
}

function sum(counts: Float64Array): number {
  let total = 0;
  for (const count of counts) total += count;
  return total;
}
