import { deserialize, serialize } from "node:v8";
import { SmoothWeighted } from "../../plugins/smooth-weighted.ts";
import type { Logger } from "../log.ts";
import type {
  Attempt,
  AttemptEnd,
  AttemptHead,
  Backend,
  Candidates,
  Health,
  PickContext,
  Strategy,
  StrategyPlugin,
} from "../plugin.ts";
import { isThenable } from "../config/describe.ts";
import { type CallMark, NO_CALL_MARK, type StrategyCall } from "../pool/worker-pulse.ts";
import type { AttemptNotes } from "./attempt-notes.ts";
import { FaultLog } from "./fault-log.ts";
import {
  faultOf,
  onRejection,
  pickFault,
  scoreFault,
  snapshotFault,
  type StrategyFault,
} from "./fault.ts";
import { FrozenCopy } from "./frozen-copy.ts";
import { createInstance } from "./instance.ts";
import { NoteTaker } from "./note-taker.ts";
import type { PickRecord } from "./pick-record.ts";
import { NO_STRATEGY_METRICS, type StrategyMetrics } from "./strategy-metrics.ts";
import { TieBreak } from "./tie-break.ts";
import { Warnings } from "./warnings.ts";

/** Faults in a row after which an instance is not asked any more. */
export const QUARANTINE_AFTER = 10;

/** A pick stops everything else in its worker for as long as it takes: one of microseconds is normal. */
export const SLOW_PICK_MS = 10;

export interface StrategyHostOptions {
  readonly plugin: StrategyPlugin<unknown>;
  /** Shown with the name wherever the strategy is named. */
  readonly version: string;
  /** As the config gives them, not parsed. */
  readonly options: unknown;
  readonly pool: string;
  readonly backends: readonly Backend[];
  /** Monotonic milliseconds. */
  now(): number;
  /** Uniform in [0, 1). */
  random(): number;
  readonly log: Logger;
  /** What the host before this one left: `takeSnapshot()` under the name of its strategy. */
  readonly previous: { readonly name: string; readonly snapshot: unknown } | null;
  /** Every fault, also those that are not logged. Must not throw. */
  onFault?(fault: StrategyFault): void;
  /** Every pick that took longer than `SLOW_PICK_MS`. Must not throw. */
  onSlowPick?(): void;
  /** What `env.counter` counts goes there; default: nowhere. */
  readonly metrics?: StrategyMetrics;
  /** Where each call into the strategy is marked while it lasts; default: nowhere. */
  readonly mark?: CallMark;
  /** No call at all is to reach the plugin, `create` included: it has ended workers. */
  readonly sealed?: boolean;
}

export interface Pick {
  /** Null: the strategy refuses the request. */
  readonly backend: Backend | null;
  /** Least connections answered because the strategy could not. */
  readonly fallback: boolean;
}

/** A strategy without methods: there is nothing to call. */
const NOTHING: Strategy = Object.freeze({});

type Hook = Exclude<keyof Strategy, "score" | "pick">;
type News = readonly [
  hook: Hook,
  notes: AttemptNotes | null,
  one: unknown,
  two: unknown,
  three: unknown,
];

/**
 * Calls one strategy instance, and keeps its faults away from requests: nothing but the constructor
 * ever throws, whatever the strategy does.
 *
 * A fault of `score` or `pick` is answered by least connections. A fault of a hook is counted and
 * logged, but touches no pick: it neither continues nor ends a row of faults. In quarantine the
 * strategy is asked nothing, but still told everything, so that what it keeps per attempt is right
 * for the instance that follows.
 */
export class StrategyHost {
  readonly name: string;
  readonly version: string;
  #strategy: Strategy;
  readonly #asksPick: boolean;
  readonly #onFault: ((fault: StrategyFault) => void) | undefined;
  readonly #onSlowPick: (() => void) | undefined;
  readonly #mark: CallMark;
  readonly #warnings: Warnings;
  readonly #log: FaultLog;
  readonly #scores: TieBreak;
  /** Apart from `#scores`, so that it can answer while scores are being asked for. */
  readonly #fallback: TieBreak;
  readonly #frozen = new FrozenCopy();
  readonly #span: NoteTaker;
  readonly #waiting: News[] = [];
  #backends: readonly Backend[] = [];
  #inside = false;
  /** What `#mark` wants back. */
  #before = 0;
  #faults = 0;
  #faultsInARow = 0;
  #quarantined = false;
  #running = 0;
  #retired = false;
  #disposed = false;

  /** Throws ConfigError when the plugin rejects its options or makes no strategy. */
  constructor(options: StrategyHostOptions) {
    const { plugin, previous, mark = NO_CALL_MARK, sealed = false } = options;
    this.name = plugin.name;
    this.version = options.version;
    this.#onFault = options.onFault?.bind(options);
    this.#onSlowPick = options.onSlowPick?.bind(options);
    this.#mark = mark;
    const turns = new SmoothWeighted(() => options.random());
    this.#scores = new TieBreak(turns);
    this.#fallback = new TieBreak(turns);
    const fields = { pool: options.pool, strategy: this.name, version: this.version };
    this.#log = new FaultLog({ log: options.log, now: () => options.now(), fields });
    const warnings = new Warnings(options.log, fields);
    this.#warnings = warnings;
    this.#span = new NoteTaker(warnings);
    this.#quarantined = sealed;
    this.#strategy = sealed
      ? NOTHING
      : createInstance({
          plugin,
          options: options.options,
          pool: options.pool,
          now: () => options.now(),
          random: () => options.random(),
          log: options.log,
          span: this.#span,
          metrics: options.metrics ?? NO_STRATEGY_METRICS,
          warnings,
          mark,
          previous: previous?.name === plugin.name ? previous.snapshot : undefined,
        });
    this.#asksPick = this.#strategy.pick !== undefined;
    this.setBackends(options.backends);
  }

  /** Of all methods, since the instance was made. */
  get faults(): number {
    return this.#faults;
  }

  /** Least connections answers everything until a new instance is made. */
  get quarantined(): boolean {
    return this.#quarantined;
  }

  /**
   * The strategy sees `candidates` only as a frozen copy: best leave them unfrozen, that is faster.
   * `record` is filled for those who want to know why.
   */
  pick(candidates: Candidates, context: PickContext, record: PickRecord | null = null): Pick {
    if (this.#quarantined || this.#inside) return this.#leastConnections(candidates, record);
    this.#enter(this.#asksPick ? "pick" : "score", record?.notes ?? null);
    try {
      const backend = this.#asksPick
        ? this.#askPick(candidates, context)
        : this.#askScores(candidates, context, record);
      this.#faultsInARow = 0;
      return { backend, fallback: false };
    } catch (thrown) {
      this.#pickFailed(faultOf(this.#asksPick ? "pick" : "score", thrown));
      return this.#leastConnections(candidates, record);
    } finally {
      this.#leave();
    }
  }

  /** How long a pick took, when that was longer than `SLOW_PICK_MS`. */
  pickWasSlow(ms: number): void {
    this.#onSlowPick?.();
    // Not the time: a message is said once.
    this.#warnings.warn(
      `a pick took longer than ${SLOW_PICK_MS} ms, in which this worker did nothing else`,
      { pickMs: Math.round(ms) },
    );
  }

  /**
   * Nothing reaches the strategy any more, hooks included: one of its calls may be the last that this
   * process makes.
   */
  seal(): void {
    this.#quarantined = true;
    this.#strategy = NOTHING;
  }

  /** The request is about to be sent, whoever placed it. `notes` takes what the strategy says about it. */
  onStart(attempt: Attempt, notes: AttemptNotes | null = null): void {
    this.#running++;
    this.#tell("onStart", notes, attempt);
  }

  onResponse(attempt: Attempt, head: AttemptHead, notes: AttemptNotes | null = null): void {
    this.#tell("onResponse", notes, attempt, head);
  }

  /** Exactly once after every `onStart` of this host, also after `dispose`. */
  onEnd(attempt: Attempt, end: AttemptEnd, notes: AttemptNotes | null = null): void {
    this.#running--;
    this.#tell("onEnd", notes, attempt, end);
    this.#disposeWhenQuiet();
  }

  /** The pool has other backends now. */
  setBackends(list: readonly Backend[]): void {
    this.#backends = Object.freeze([...list]);
    this.#tell("onPoolChange", null, this.#backends);
  }

  healthChanged(backend: Backend, from: Health, to: Health): void {
    this.#tell("onHealthChange", null, backend, from, to);
  }

  /** What the strategy leaves to the next one of its name: a deep copy, undefined if it leaves nothing. */
  takeSnapshot(): unknown {
    return this.#copySnapshot((snapshot) => deserialize(serialize(snapshot)) as unknown);
  }

  /** The same for another process, which `deserialize` of `node:v8` reads it in; null if it leaves nothing. */
  takeSnapshotBytes(): Uint8Array | null {
    return this.#copySnapshot((snapshot) => new Uint8Array(serialize(snapshot))) ?? null;
  }

  /** Not by `structuredClone`, which copies some of what no other process can be given: that is a fault in any case. */
  #copySnapshot<Copy>(copy: (snapshot: unknown) => Copy): Copy | undefined {
    if (this.#inside) return undefined;
    this.#enter("snapshot", null);
    try {
      // Even reading a method may throw.
      const snapshot = this.#strategy.snapshot?.();
      if (isThenable(snapshot)) throw snapshotFault(snapshot);
      return snapshot === undefined ? undefined : copy(snapshot);
    } catch (thrown) {
      this.#count(faultOf("snapshot", thrown));
      return undefined;
    } finally {
      this.#leave();
    }
  }

  /** Another host takes over. The strategy is told when the last attempt it knows has ended. */
  dispose(): void {
    if (this.#retired) return;
    this.#retired = true;
    this.#disposeWhenQuiet();
  }

  #disposeWhenQuiet(): void {
    if (!this.#retired || this.#disposed || this.#running > 0) return;
    this.#tell("dispose", null);
    this.#disposed = true;
  }

  #askPick(candidates: Candidates, context: PickContext): Backend | null {
    const answer: unknown = this.#strategy.pick?.(this.#frozen.of(candidates), context);
    if (answer === null) return null;
    if (candidates.includes(answer as Backend)) return answer as Backend;
    throw pickFault(answer, this.#backends.includes(answer as Backend));
  }

  #askScores(
    candidates: Candidates,
    context: PickContext,
    record: PickRecord | null,
  ): Backend | null {
    const scores = this.#scores;
    scores.begin();
    if (record !== null) record.scores.length = 0;
    for (const backend of candidates) {
      const score: unknown = this.#strategy.score?.(backend, context);
      // Only NaN differs from itself.
      if (typeof score !== "number" || score !== score || score === -Infinity) {
        throw scoreFault(backend, score);
      }
      scores.offer(backend, score);
      record?.scores.push(score);
    }
    return scores.winner();
  }

  #leastConnections(candidates: Candidates, record: PickRecord | null): Pick {
    const fallback = this.#fallback;
    fallback.begin();
    if (record !== null) record.scores.length = 0;
    for (const backend of candidates) {
      const score = backend.inFlight / backend.weight;
      fallback.offer(backend, score);
      record?.scores.push(score);
    }
    return { backend: fallback.winner(), fallback: true };
  }

  #tell(
    hook: Hook,
    notes: AttemptNotes | null,
    one?: unknown,
    two?: unknown,
    three?: unknown,
  ): void {
    if (this.#disposed) return;
    if (this.#inside) {
      this.#waiting.push([hook, notes, one, two, three]);
      return;
    }
    this.#enter(hook, notes);
    try {
      const method = this.#strategy[hook] as ((...news: unknown[]) => unknown) | undefined;
      if (method === undefined) return;
      const answer = method.call(this.#strategy, one, two, three);
      if (answer !== undefined) onRejection(answer, (reason) => this.#count(faultOf(hook, reason)));
    } catch (thrown) {
      this.#count(faultOf(hook, thrown));
    } finally {
      this.#leave();
    }
  }

  /** The way into the strategy's code, whatever is called; `#leave` is the way out. */
  #enter(call: StrategyCall, notes: AttemptNotes | null): void {
    this.#inside = true;
    this.#span.target = notes;
    this.#before = this.#mark.enter(call);
  }

  #leave(): void {
    this.#mark.leave(this.#before);
    this.#span.target = null;
    this.#inside = false;
    this.#tellWaiting();
  }

  /** Calls never overlap: news that came during a call is told after it. */
  #tellWaiting(): void {
    const news = this.#waiting.shift();
    if (news !== undefined) this.#tell(...news);
  }

  #pickFailed(fault: StrategyFault): void {
    this.#count(fault);
    this.#faultsInARow++;
    if (this.#faultsInARow < QUARANTINE_AFTER) return;
    this.#quarantined = true;
    this.#log.quarantined(fault, this.#faultsInARow, this.#faults);
  }

  #count(fault: StrategyFault): void {
    this.#faults++;
    this.#log.report(fault, this.#faults);
    this.#onFault?.(fault);
  }
}
