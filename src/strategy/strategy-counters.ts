import { describeValue } from "../config/describe.ts";
import type { StrategyCounter } from "../plugin.ts";
import type { StrategyMetrics } from "./strategy-metrics.ts";
import type { Warnings } from "./warnings.ts";

/** Every name is a series in every worker: names made of requests must not fill their memory. */
const MAX_COUNTERS = 32;

const NAME = /^[A-Za-z][\w.-]{0,63}$/;

const COUNTS_NOTHING: StrategyCounter = Object.freeze({ add() {} });

export interface StrategyCountersOptions {
  readonly metrics: StrategyMetrics;
  readonly pool: string;
  readonly strategy: string;
  readonly warnings: Warnings;
}

/** `env.counter` of one strategy instance. Never throws, whatever a strategy hands in. */
export class StrategyCounters {
  readonly #options: StrategyCountersOptions;
  readonly #counters = new Map<string, StrategyCounter>();

  constructor(options: StrategyCountersOptions) {
    this.#options = options;
  }

  counter(name: string): StrategyCounter {
    const known = this.#counters.get(name);
    if (known !== undefined) return known;
    const { warnings } = this.#options;
    if (typeof name !== "string" || !NAME.test(name)) {
      warnings.warn(
        `env.counter was given the name ${describeValue(name)}, allowed 1 to 64 letters, digits, _, . ` +
          "and -, beginning with a letter; it counts nothing",
      );
      return COUNTS_NOTHING;
    }
    if (this.#counters.size >= MAX_COUNTERS) {
      // Without the name: a strategy that makes names up would use up its warnings.
      warnings.warn(
        `the strategy has ${MAX_COUNTERS} counters already; further ones count nothing`,
      );
      return COUNTS_NOTHING;
    }
    const counter = this.#create(name);
    this.#counters.set(name, counter);
    return counter;
  }

  #create(name: string): StrategyCounter {
    const { metrics, pool, strategy, warnings } = this.#options;
    const sink = metrics.counter({ name, pool, strategy });
    return Object.freeze({
      add(n: number = 1) {
        if (Number.isFinite(n) && n >= 0) {
          sink.add(n);
          return;
        }
        warnings.warn(
          `the counter ${name} was given ${describeValue(n)}, allowed a finite number from 0 up`,
        );
      },
    });
  }
}
