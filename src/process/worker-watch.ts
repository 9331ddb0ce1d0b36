import type { Problem } from "../errors.ts";
import type { Schedule } from "../health/prober.ts";
import type { LogFields, Logger } from "../log.ts";
import type { MarkedCall, WorkerPulse } from "../pool/worker-pulse.ts";
import type { Plan, StrategyConditions } from "./messages.ts";
import type { ProcessUsages } from "./process-usage.ts";
import { StrategyDeaths } from "./strategy-deaths.ts";
import { type HangCause, type WatchdogLimits, type WatchedWorker, Watchdog } from "./watchdog.ts";

export interface WorkerWatchOptions {
  /** Those that live. */
  readonly workers: () => Iterable<WatchedWorker>;
  readonly pulseOf: (column: number) => WorkerPulse;
  /** The strategies that are in force. */
  readonly strategies: () => Plan["strategies"];
  readonly limits: () => WatchdogLimits;
  /** Tells all workers to keep every call away from this strategy. */
  readonly seal: (strategy: number) => void;
  readonly usages: ProcessUsages;
  readonly now: () => number;
  readonly schedule: Schedule;
  readonly log: Logger;
}

const BETWEEN_CALLS = "no strategy was being called: is it a timer or a promise of one?";

/** Ends workers that hang, and finds out which strategy a worker died of. */
export class WorkerWatch {
  readonly #options: WorkerWatchOptions;
  readonly #watchdog: Watchdog;
  readonly #deaths: StrategyDeaths;
  /** Of those that it ends. */
  readonly #causes = new WeakMap<WatchedWorker, HangCause>();

  constructor(options: WorkerWatchOptions) {
    this.#options = options;
    this.#deaths = new StrategyDeaths(options.now);
    this.#watchdog = new Watchdog({
      ...options,
      onHanging: (worker, cause) => this.#end(worker, cause),
    });
  }

  start(): void {
    this.#watchdog.start();
  }

  stop(): void {
    this.#watchdog.stop();
  }

  /** What the workers that prepare this plan have to know of its strategies. */
  conditionsOf(plan: Plan): StrategyConditions {
    return this.#deaths.conditionsOf(plan);
  }

  /** What speaks against a plan: a strategy that is quarantined, and not in force already. */
  problemsOf(plan: Plan, inForce: Plan["strategies"]): Problem[] {
    return this.#deaths.problemsOf(plan, inForce);
  }

  /**
   * A worker is gone, for whatever reason; clears its column for the next. Returns what it died of,
   * for people; null when that is not known.
   */
  ended(worker: WatchedWorker): string | null {
    const { pulseOf, log } = this.#options;
    const pulse = pulseOf(worker.column);
    const { call } = pulse;
    pulse.clear();
    const { index, pid } = worker;
    const cause = this.#causes.get(worker);
    if (call === null) {
      if (cause?.kind === "computes") for (const each of this.#suspects()) this.#blame(each);
      return cause === undefined ? null : `it ${cause.text}`;
    }
    const fields = this.#fieldsOf(call);
    log.error("a worker ended in a strategy's code", { worker: index, pid, ...fields });
    this.#blame(call.strategy);
    const { strategy, pool } = fields;
    const where = `in ${call.call} of strategy ${strategy} of pool ${pool}`;
    return cause === undefined ? where : `it ${cause.text}, ${where}`;
  }

  #blame(strategy: number): void {
    if (!this.#deaths.count(strategy)) return;
    const { seal, log } = this.#options;
    log.error(
      "strategy quarantined: two workers ended in its code within 10 minutes; least connections " +
        "answers until another version of it is loaded",
      { ...this.#deaths.find(strategy) },
    );
    seal(strategy);
  }

  #end(worker: WatchedWorker, cause: HangCause): void {
    const { call } = this.#options.pulseOf(worker.column);
    this.#causes.set(worker, cause);
    this.#options.log.error(`the watchdog ends a worker: it ${cause.text}`, {
      worker: worker.index,
      pid: worker.pid,
      ...(call === null ? { hint: BETWEEN_CALLS } : this.#fieldsOf(call)),
    });
    worker.kill();
  }

  /**
   * Who may have looped between calls, in a timer or a promise: code of ours does not loop, so it is
   * the strategy from a file if there is but one. Of several nobody is blamed.
   */
  #suspects(): number[] {
    const strategies = this.#options.strategies();
    const files = Object.entries(strategies).flatMap(([pool, { module }]) =>
      module.kind === "file" ? [{ pool, version: module.version }] : [],
    );
    if (new Set(files.map(({ version }) => version)).size > 1) return [];
    const conditions = this.#deaths.conditionsOf({ strategies });
    return files.flatMap(({ pool }) => conditions[pool]?.number ?? []);
  }

  #fieldsOf({ strategy, call }: MarkedCall): LogFields {
    return { ...this.#deaths.find(strategy), call };
  }
}
