/** What is known of a shadow. Plain data: the process that runs it tells its master. */

export interface ShadowFigures {
  /** Times it was asked for a backend; nobody is asked about a client's session. */
  readonly picks: number;
  /** Those in which it picked where the acting strategy sent the request. */
  readonly agreed: number;
  /** Those as a share of all picks, 0 to 1; null before the first. */
  readonly agreement: number | null;
  /** Times it refused. */
  readonly refused: number;
  /** Times least connections answered because it could not. */
  readonly fallbacks: number;
  /** Of all its methods. */
  readonly faults: number;
  /** Requests of its pool that it was not shown. */
  readonly dropped: number;
  /** How long picks took; null before the first. */
  readonly pickMs: PickTimesFigures | null;
  /** Of the pool, in its order. */
  readonly backends: readonly ShadowBackend[];
}

export interface PickTimesFigures {
  /** Of all together. */
  readonly sum: number;
  readonly p50: number;
  readonly p99: number;
  /** As many as there are bounds, and one more. */
  readonly buckets: readonly number[];
}

export interface ShadowBackend {
  readonly id: string;
  /** As it would have been with the shadow. */
  readonly shadow: Projected;
  /** As it is, counted with the same requests. */
  readonly acting: Projected;
}

export interface Projected {
  /** Requests it was given, those of clients' sessions included. */
  readonly requests: number;
  /** Those as a share of what all backends were given, 0 to 1; null when that is nothing. */
  readonly share: number | null;
  /** In flight at this moment, on average over the time, and at most. */
  readonly inFlight: { readonly now: number; readonly mean: number; readonly max: number };
}
