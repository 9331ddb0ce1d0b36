import type { StrategyConfig } from "../config/config.ts";
import type { RuleReport } from "../strategy/conformance.ts";
import type { StrategyDescription } from "../strategy/module.ts";

/** Longer work with a strategy than loading it; plain data for the child that does it. */
export type TrialJob = {
  readonly kind: "trial";
  readonly strategy: StrategyConfig;
  /** Where a file's bundle is written to. */
  readonly tempDir: string;
} & TrialTask;

export type TrialTask =
  | {
      readonly task: "conformance";
      /** What a test beside the strategy imports: `./mine.ts`. */
      readonly specifier: string;
    }
  | { readonly task: "bench"; readonly candidates: readonly number[] };

/** What comes of a bench; of the other task nothing that was not told on the way. */
export interface BenchResult {
  /** Nanoseconds, one for each number of candidates; as far as it came. */
  readonly nsPerPick: readonly number[];
  /** Where the strategy made its first mistake, at how many candidates, and which; null: it made none. */
  readonly fault: string | null;
}

/** Told while the work goes on: a strategy may loop before its end. */
export type TrialStep =
  | { readonly loaded: StrategyDescription }
  | { readonly begins: string }
  | { readonly ended: RuleReport };
