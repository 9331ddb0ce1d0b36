import type { Problem } from "../errors.ts";
import type { Schedule } from "../health/prober.ts";
import type { LogFields, Logger } from "../log.ts";
import type { MarkedCall, WorkerPulse } from "../pool/worker-pulse.ts";
import { AnswerWatch, type AskedWorker } from "./answer-watch.ts";
import type { HeldModules } from "./held-modules.ts";
import type { Plan, StrategyConditions } from "./messages.ts";
import type { ProcessUsages } from "./process-usage.ts";
import { StrategyDeaths } from "./strategy-deaths.ts";
import { type HangCause, type WatchdogLimits, type WatchedWorker, Watchdog } from "./watchdog.ts";

/** A worker that may end. */
export interface MortalWorker extends AskedWorker {
  /** Whether it was told to stop, or killed by us. */
  readonly isToEnd: boolean;
  /** Null: not by us, or by the watchdog. */
  readonly endedFor: string | null;
  readonly modules: Pick<HeldModules, "superseded">;
}

export interface WorkerWatchOptions {
  /** Those that live. */
  readonly workers: () => Iterable<MortalWorker>;
  readonly pulseOf: (column: number) => WorkerPulse;
  /** The strategies that are in force. */
  readonly strategies: () => Plan["strategies"];
  readonly limits: () => WatchdogLimits;
  /** Whether a worker serves in every place. */
  readonly isWhole: () => boolean;
  /** Puts another worker in its place, politely. False: it serves in none, as one that stops already. */
  readonly recycle: (worker: WatchedWorker) => boolean;
  /** Tells all workers to keep every call away from this strategy. */
  readonly seal: (strategy: number) => void;
  readonly usages: ProcessUsages;
  readonly now: () => number;
  readonly schedule: Schedule;
  readonly log: Logger;
}

const BETWEEN_CALLS = "no strategy was being called: is it a timer or a promise of one?";
/** How the reason of an end begins that a process chose itself: code of ours does so only when it is told to. */
const EXITED = "exit code";
/** A worker that is full again so soon after it was recycled would only be full again. */
const RECYCLE_AGAIN_MS = 60_000;

/** Ends workers that hang, and finds out which strategy a worker died of. */
export class WorkerWatch {
  readonly #options: WorkerWatchOptions;
  readonly #watchdog: Watchdog;
  readonly #answers: AnswerWatch;
  readonly #deaths: StrategyDeaths;
  /** Of those that it ends. */
  readonly #causes = new WeakMap<WatchedWorker, HangCause>();
  /** When the worker of a place was recycled because it was full. */
  readonly #recycledAtMs = new Map<number, number>();

  constructor(options: WorkerWatchOptions) {
    this.#options = options;
    this.#deaths = new StrategyDeaths(options.now);
    this.#watchdog = new Watchdog({
      ...options,
      onHanging: (worker, cause) => this.#end(worker, cause),
      onFull: (worker, text) => this.#recycle(worker, text),
    });
    this.#answers = new AnswerWatch({
      ...options,
      onSilent: (worker, text) => this.#end(worker, { kind: "silent", text }),
    });
  }

  start(): void {
    this.#watchdog.start();
    this.#answers.start();
  }

  stop(): void {
    this.#watchdog.stop();
    this.#answers.stop();
  }

  /** Whether the worker answers its master, as far as is known. */
  answers(worker: AskedWorker): boolean {
    return this.#answers.answers(worker);
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
  ended(worker: MortalWorker, reason: string): string | null {
    const { pulseOf, log } = this.#options;
    const pulse = pulseOf(worker.column);
    const { call, beats } = pulse;
    pulse.clear();
    const { index, pid } = worker;
    const cause = this.#causes.get(worker);
    if (call === null) {
      // Before its first beat it holds no strategy.
      const ownWord = worker.endedFor !== null;
      const exited = reason.startsWith(EXITED) && !worker.isToEnd && !ownWord && beats > 0;
      if (exited) {
        const fields = { worker: index, pid, reason, hint: BETWEEN_CALLS };
        log.error("a worker exited, and nobody had told it to", fields);
      }
      if (exited || cause?.kind === "computes" || cause?.kind === "silent")
        this.#blameSuspects(worker);
      return cause === undefined ? null : `it ${cause.text}`;
    }
    const fields = this.#fieldsOf(call);
    log.error("a worker ended in a strategy's code", { worker: index, pid, ...fields });
    // One that did not answer us was not watched: it may have been none of its doing.
    if (cause !== undefined || worker.endedFor === null) this.#blame(call.strategy);
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

  #recycle(worker: WatchedWorker, text: string): void {
    const { now, recycle, log } = this.#options;
    const { index, pid } = worker;
    if (now() - (this.#recycledAtMs.get(index) ?? Number.NEGATIVE_INFINITY) < RECYCLE_AGAIN_MS)
      return;
    if (!recycle(worker)) return;
    this.#recycledAtMs.set(index, now());
    log.warn(`a worker is recycled before it is ended: it ${text}`, { worker: index, pid });
  }

  #end(worker: WatchedWorker, cause: HangCause): void {
    const { call } = this.#options.pulseOf(worker.column);
    if (this.#causes.has(worker)) return;
    this.#causes.set(worker, cause);
    this.#options.log.error(`the watchdog ends a worker: it ${cause.text}`, {
      worker: worker.index,
      pid: worker.pid,
      ...(call === null ? { hint: BETWEEN_CALLS } : this.#fieldsOf(call)),
    });
    worker.kill();
  }

  /**
   * A strategy from a file had this worker's end, from a timer or a promise: code of ours neither loops nor exits.
   * Which of several it was cannot be told. It counts against the one that came last, which is the likeliest; if
   * workers go on ending when that is quarantined, against the one before it.
   */
  #blameSuspects(worker: MortalWorker): void {
    const { log } = this.#options;
    const strategies = this.#options.strategies();
    const conditions = this.#deaths.conditionsOf({ strategies });
    const suspects = Object.entries(strategies).flatMap(([pool, { module }]) => {
      const condition = conditions[pool];
      if (module.kind !== "file" || condition === undefined || condition.sealed) return [];
      return [{ pool, version: module.version, number: condition.number }];
    });
    const newest = suspects.toSorted((one, two) => two.number - one.number)[0];
    if (newest === undefined) return;
    const fields = {
      worker: worker.index,
      pid: worker.pid,
      suspects: suspects
        .map(({ pool, number }) => `${this.#nameOf(number)} of pool ${pool}`)
        .join(", "),
    };
    // Timers of theirs go on. Its successor holds only what is in force.
    if (worker.modules.superseded(Object.values(strategies)) > 0) {
      const because = "it held older versions, too";
      log.warn("the end of a worker counts against no strategy", { ...fields, because });
      return;
    }
    const blamed = suspects.filter(({ version }) => version === newest.version);
    const against = { strategy: this.#nameOf(newest.number), version: newest.version };
    log.warn("the end of a worker counts against a strategy", { ...fields, ...against });
    for (const { number } of blamed) this.#blame(number);
  }

  #nameOf(strategy: number): string {
    return this.#deaths.find(strategy)?.strategy ?? "a strategy";
  }

  #fieldsOf({ strategy, call }: MarkedCall): LogFields {
    return { ...this.#deaths.find(strategy), call };
  }
}
