import type { Logger } from "../../log.ts";
import type { RequestObserver } from "../../proxy/observer.ts";
import type { StrategyFault } from "../../strategy/fault.ts";
import type { StrategyCounterLabels, StrategyMetrics } from "../../strategy/strategy-metrics.ts";
import {
  ACCESS_LOG_DROPPED,
  INSTRUMENTS,
  PICK_ERRORS,
  PICKS_SLOW,
  STRATEGY_EVENTS,
  STRATEGY_FAULTS,
} from "./instruments.ts";
import { createMetricsObserver } from "./metrics-observer.ts";
import { type NumberSeries, RegionWriter } from "./region-writer.ts";

export interface WorkerMetricsOptions {
  /** This worker's region: all zeros, and nobody else writes there. */
  readonly words: Int32Array;
  readonly knownMethods: ReadonlySet<string>;
  readonly now: () => number;
  readonly log: Logger;
}

/** Everything that a worker counts. */
export class WorkerMetrics implements StrategyMetrics {
  readonly observer: RequestObserver;
  readonly #writer: RegionWriter;
  readonly #linesDropped: NumberSeries;

  constructor({ words, knownMethods, now, log }: WorkerMetricsOptions) {
    this.#writer = new RegionWriter({
      words,
      instruments: INSTRUMENTS,
      onFull: ({ name }) =>
        log.warn("no room for further series of metrics, they are counted without labels", {
          metric: name,
          label: 'otel.metric.overflow="true"',
        }),
    });
    this.#linesDropped = this.#writer.number(ACCESS_LOG_DROPPED, []);
    this.observer = createMetricsObserver({ writer: this.#writer, knownMethods, now });
  }

  /** A line of the access log was lost. */
  lineDropped(): void {
    this.#linesDropped.add(1);
  }

  counter({ name, pool, strategy }: StrategyCounterLabels): { add(n: number): void } {
    return this.#writer.number(STRATEGY_EVENTS, [name, pool, strategy]);
  }

  /** A pick that stopped the worker for long. Rare: its labels are looked up every time. */
  slowPick(pool: string, strategy: string): void {
    this.#writer.number(PICKS_SLOW, [pool, strategy]).add(1);
  }

  /** A strategy broke its side of the API. Rare: its labels are looked up every time. */
  fault(pool: string, strategy: string, { method }: StrategyFault): void {
    this.#writer.number(STRATEGY_FAULTS, [method, pool, strategy]).add(1);
    if (method !== "score" && method !== "pick") return;
    this.#writer.number(PICK_ERRORS, [pool, strategy]).add(1);
  }
}
