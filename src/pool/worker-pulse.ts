/**
 * Words in shared memory by which the master sees whether a worker lives, and what it is busy with.
 * Only the worker writes there while it lives: what it was doing is still to be read when it is dead.
 */
import type { Strategy } from "../plugin.ts";

/** All that a strategy object may have for us to call. */
export const STRATEGY_METHODS = [
  "score",
  "pick",
  "onPoolChange",
  "onHealthChange",
  "onStart",
  "onResponse",
  "onEnd",
  "snapshot",
  "dispose",
] as const satisfies readonly (keyof Strategy)[];

/** Every way into a strategy's code. The words in shared memory hold places in this list. */
export const STRATEGY_CALLS = ["import", "parseOptions", "create", ...STRATEGY_METHODS] as const;
export type StrategyCall = (typeof STRATEGY_CALLS)[number];

/** Brackets each call into one strategy. Both are a few nanoseconds. */
export interface CallMark {
  /** Returns what `leave` takes. */
  enter(call: StrategyCall): number;
  /** The call that was under way before goes on, if there was one: an import waits, and picks go on meanwhile. */
  leave(before: number): void;
}

/** Where nobody looks. */
export const NO_CALL_MARK: CallMark = Object.freeze({ enter: () => 0, leave() {} });

export interface MarkedCall {
  /** As it was given to `callsOf`. */
  readonly strategy: number;
  readonly call: StrategyCall;
}

const BEATS = 0;
/** 0, or the strategy's number and the call's. */
const CALL = 1;
/** A cache line for each worker: these words change with every request. */
export const PULSE_WORDS = 16;

const CALL_BITS = 5;
/** Numbers of strategies are below this. */
const MAX_STRATEGIES = 2 ** (31 - CALL_BITS);

const NUMBERS = Object.fromEntries(
  STRATEGY_CALLS.map((call, index) => [call, index + 1]),
) as Readonly<Record<StrategyCall, number>>;

export class WorkerPulse {
  readonly #words: Int32Array;

  /** `words`: PULSE_WORDS of them, all 0 at first. */
  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** Says that the worker's event loop goes round. */
  beat(): void {
    Atomics.add(this.#words, BEATS, 1);
  }

  /** Differs from what it was when the worker has beaten since; 0 before its first beat. */
  get beats(): number {
    return Atomics.load(this.#words, BEATS);
  }

  /** The call into a strategy that is under way, or was when the worker died. */
  get call(): MarkedCall | null {
    const word = Atomics.load(this.#words, CALL);
    const call = STRATEGY_CALLS[(word & (2 ** CALL_BITS - 1)) - 1];
    return call === undefined ? null : { strategy: word >> CALL_BITS, call };
  }

  /** For the calls of one strategy. Throws RangeError when there cannot be that many. */
  callsOf(strategy: number): CallMark {
    if (!Number.isSafeInteger(strategy) || strategy < 0 || strategy >= MAX_STRATEGIES) {
      throw new RangeError(`no strategy has the number ${strategy}`);
    }
    const words = this.#words;
    const first = strategy << CALL_BITS;
    return {
      enter: (call) => Atomics.exchange(words, CALL, first | NUMBERS[call]),
      leave: (before) => void Atomics.store(words, CALL, before),
    };
  }

  /** For the next worker. */
  clear(): void {
    this.#words.fill(0, 0, PULSE_WORDS);
  }
}
