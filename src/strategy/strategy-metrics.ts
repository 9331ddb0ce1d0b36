/** Where the counters of strategies add up, without this folder knowing who shows them. */
export interface StrategyMetrics {
  /** Once per instance and name; instances of one strategy in one pool add to the same counter. Never throws. */
  counter(of: StrategyCounterLabels): CounterSink;
}

export interface StrategyCounterLabels {
  /** As the strategy named it: letters, digits, `_`, `.` and `-`, at most 64. */
  readonly name: string;
  readonly pool: string;
  readonly strategy: string;
}

export interface CounterSink {
  /** `n` is finite and not negative. Never throws. */
  add(n: number): void;
}

/** For hosts whose numbers nobody reads. */
export const NO_STRATEGY_METRICS: StrategyMetrics = Object.freeze({
  counter: () => NO_SINK,
});

const NO_SINK: CounterSink = Object.freeze({ add() {} });
