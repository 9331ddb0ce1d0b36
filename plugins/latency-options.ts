import { OptionReader } from "./option-reader.ts";

/** What strategies that go by response times can be told. */
export interface LatencyOptions {
  /** Time constant with which what is known fades. */
  readonly decayMs: number;
  /** A failure counts as an answer this slow: failing fast must not look like being fast. */
  readonly penaltyMs: number;
  /** The longest Retry-After that is honoured. */
  readonly maxRetryAfterMs: number;
  /** What a backend is taken for as long as nothing is known of any. */
  readonly firstGuessMs: number;
  readonly tooManyRequests: "failure" | "ignore";
}

/** Throws an Error that says everything that is wrong. */
export function parseLatencyOptions(raw: unknown): LatencyOptions {
  const reader = new OptionReader(raw, [
    "decay",
    "penalty",
    "maxRetryAfter",
    "firstGuess",
    "tooManyRequests",
  ]);
  return reader.finish({
    decayMs: reader.durationMs("decay", { fallback: "10s", minMs: 100 }),
    penaltyMs: reader.durationMs("penalty", { fallback: "5s", minMs: 0 }),
    maxRetryAfterMs: reader.durationMs("maxRetryAfter", { fallback: "300s", minMs: 0 }),
    firstGuessMs: reader.durationMs("firstGuess", { fallback: "100ms", minMs: 1 }),
    tooManyRequests: reader.choice("tooManyRequests", ["failure", "ignore"]),
  });
}
