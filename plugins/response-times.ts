import type { Backend, StrategyEnv } from "../src/plugin.ts";
import type { LatencyOptions } from "./latency-options.ts";
import { type LatencySnapshot, readLatencySnapshot } from "./latency-snapshot.ts";

/** What is known of one backend. */
interface Known {
  /** The estimate as of `at`; of no meaning until `measured`. */
  ms: number;
  /** Lies ahead while a backend has asked to be left alone. */
  at: number;
  /** The same without failures, as of `answeredAt`, which is -Infinity before the first answer. */
  answeredMs: number;
  answeredAt: number;
  measured: boolean;
  /**
   * The estimate, as of `at`, is at least this until it answers; null when the last thing that it did was not
   * to fail.
   */
  failingMs: number | null;
  /** When it last gave any sign of itself. */
  heardAt: number;
  failedAt: number;
  /** Requests of this worker that wait for the head of their response. */
  waiting: number;
}

/** What is usual in the pool just now. */
interface Usual {
  readonly at: number;
  /** The median of the estimates of those that work, null when none is known to. */
  readonly ms: number | null;
  /** The median of the costs of all that did not fail. */
  readonly cost: number;
}

const NEVER: Usual = { at: -Infinity, ms: null, cost: 0 };

/** Below it nothing is known any more; above 0, so that requests in flight still count. */
const FLOOR_MS = 0.001;
/** For how long medians are good. Sorting a pool with each pick would cost more than the pick. */
const USUAL_LASTS_MS = 100;
/**
 * How many times as bad as the usual cost of a backend that works: another request for a backend on
 * trial, and a failure. So the order is those that work, those on trial, those that failed just now. Beside
 * backends that take seconds no fixed time would do: a penalty of 5 s looks good when ten requests of 1 s
 * are in flight everywhere else.
 */
const TRIAL_FACTOR = 3;
const FAILURE_FACTOR = 10;
/** For a snapshot, which knows no infinity. */
const LONG_AGO_MS = 24 * 3_600_000;

/**
 * Estimates how long each backend takes to the first byte: a moving average whose weights fade with
 * time, not with the number of answers, so that a backend that gets nothing is not judged by its past
 * for ever.
 *
 * With `peak` it is the Peak EWMA of Finagle (`PeakEwma.scala`) and tower (`load/peak_ewma.rs`): a
 * slower answer counts at once, faster ones little by little. A failure is a very slow answer, as in
 * Linkerd (`linkerd/load-biaser`). What is known fades towards 0, so that a backend that was slow is
 * tried again.
 *
 * A backend of which nothing was heard for a while, or ever, is on trial: one request of this worker
 * at a time until it answers, as long as others can take the rest. Without that its low estimate would
 * draw all traffic in the meantime. (Finagle has the same for a node without history.)
 *
 * The clock is read when something happens and once per pick, not for each estimate: equal backends
 * must come out equal, or ties would always go to the same one.
 */
export class ResponseTimes {
  readonly #env: StrategyEnv<LatencyOptions>;
  readonly #peak: boolean;
  readonly #knownOf: (backend: Backend) => Known;
  #pool: readonly Backend[] = [];
  #time: number;
  #usual = NEVER;
  /**
   * By answers alone, and only this makes penalties: one that was measured by others' penalties would be
   * ten times as high, the next one ten times that, and so on to Infinity, which never fades.
   */
  #usualAnswer = NEVER;

  constructor(env: StrategyEnv<LatencyOptions>, { peak }: { readonly peak: boolean }) {
    this.#env = env;
    this.#peak = peak;
    this.#time = env.now();
    const previous = readLatencySnapshot(env.previous);
    const startedAt = this.#time;
    this.#knownOf = env.perBackend(({ id, url }) => {
      const before = previous.get(id);
      if (before === undefined || before.url !== url) return createKnown();
      const { ms, answeredMs, failingMs, heardMs, heldMs } = before;
      const held = Math.min(heldMs, env.options.maxRetryAfterMs);
      return {
        ...createKnown(),
        ms,
        at: startedAt + held,
        answeredMs: answeredMs ?? 0,
        answeredAt: answeredMs === null ? -Infinity : startedAt,
        measured: true,
        failingMs,
        heardAt: startedAt - heardMs,
      };
    });
  }

  readClock(): void {
    this.#time = this.#env.now();
  }

  /** Expected time until an answer if the backend gets one request more: lower is better. */
  costOf(backend: Backend): number {
    return (this.#expectedMs(backend) * (backend.inFlight + 1)) / backend.weight;
  }

  setPool(backends: readonly Backend[]): void {
    this.#pool = backends;
  }

  /** A request is sent whose answer will tell something. */
  waits(backend: Backend): void {
    this.#knownOf(backend).waiting++;
  }

  /** It waits no longer, whatever came of it. */
  waited(backend: Backend): void {
    this.#knownOf(backend).waiting--;
  }

  /** It answered, but how fast says nothing. */
  heard(backend: Backend): void {
    this.#knownOf(backend).heardAt = this.#time;
  }

  /** It answered a request of `startedAt` after `ms`. */
  answered(backend: Backend, ms: number, startedAt: number): void {
    const known = this.#knownOf(backend);
    known.heardAt = this.#time;
    known.answeredMs = this.#mix(known.answeredMs, known.answeredAt, ms);
    known.answeredAt = this.#time;
    if (known.at > this.#time) {
      // It asked to be left alone. Only an answer to a later request shows that it is back early.
      if (startedAt <= known.failedAt) return;
      known.at = this.#time;
    }
    this.#set(known, this.#mix(known.ms, known.at, ms));
  }

  /** Nothing came for `ms`, and nobody waits for it any more: it takes at least that long. */
  keptSilent(backend: Backend, ms: number): void {
    const known = this.#knownOf(backend);
    this.#refreshUsual();
    if (ms <= (known.measured ? this.#expected(known) : this.#guessMs())) return;
    this.#set(known, ms);
    known.answeredMs = ms;
    known.answeredAt = this.#time;
  }

  /** It failed, and asked to be left alone for `holdMs`. */
  failed(backend: Backend, holdMs: number): void {
    const { penaltyMs, maxRetryAfterMs } = this.#env.options;
    const known = this.#knownOf(backend);
    const { ms, at, failingMs } = known;
    known.failingMs = 0;
    this.#refreshUsualAnswer();
    known.ms = Math.max(this.#left(ms, at), penaltyMs, FAILURE_FACTOR * this.#usualAnswer.cost);
    if (failingMs !== null) {
      // Nothing but failures: it must look worse than those with a penalty for failing now and then.
      this.#refreshUsual();
      known.failingMs = Math.max(this.#left(failingMs, at), FAILURE_FACTOR * this.#usual.cost);
    }
    known.measured = true;
    known.at = Math.max(known.at, this.#time + Math.min(holdMs, maxRetryAfterMs));
    known.heardAt = this.#time;
    known.failedAt = this.#time;
  }

  /** What was known is of another time. */
  forget(backend: Backend): void {
    Object.assign(this.#knownOf(backend), {
      ...createKnown(),
      waiting: this.#knownOf(backend).waiting,
    });
  }

  snapshot(): LatencySnapshot {
    const backends = this.#pool.flatMap((backend) => {
      const known = this.#knownOf(backend);
      if (!known.measured) return [];
      const { ms, at, answeredMs, answeredAt, failingMs } = known;
      return {
        id: backend.id,
        url: backend.url,
        ms: this.#left(ms, at),
        answeredMs: answeredAt === -Infinity ? null : this.#left(answeredMs, answeredAt),
        failingMs: failingMs === null ? null : this.#left(failingMs, at),
        heardMs: Math.min(this.#time - known.heardAt, LONG_AGO_MS),
        heldMs: Math.max(0, known.at - this.#time),
      };
    });
    return { version: 1, backends };
  }

  /** What an answer after `answerMs` makes of an estimate as of `at`. */
  #mix(ms: number, at: number, answerMs: number): number {
    if (this.#peak && answerMs > ms) return answerMs;
    const kept = Math.exp((at - this.#time) / this.#env.options.decayMs);
    return ms * kept + answerMs * (1 - kept);
  }

  #set(known: Known, ms: number): void {
    known.ms = ms;
    known.at = this.#time;
    known.measured = true;
    known.failingMs = null;
  }

  #expectedMs(backend: Backend): number {
    const known = this.#knownOf(backend);
    const silent = this.#isSilent(known);
    if (!silent && known.measured) return this.#expected(known);
    this.#refreshUsual();
    if (silent && known.waiting > 0) {
      // Where nobody is known to work, all are alike, and there is nobody to spare them for.
      const ms = this.#usual.ms === null ? this.#guessMs() : TRIAL_FACTOR * this.#usual.cost;
      return Math.max(ms, known.at - this.#time);
    }
    if (known.measured) return this.#expected(known);
    // Better than most until it has answered once: it is to be tried soon.
    return known.heardAt === -Infinity ? this.#guessMs() / 2 : this.#guessMs();
  }

  #isSilent({ heardAt }: Known): boolean {
    return this.#time - heardAt > this.#env.options.decayMs;
  }

  #expected(known: Known): number {
    // Whoever is sent now gets a good answer only after the time that the backend asked for.
    const ms = known.failingMs === null ? known.ms : Math.max(known.ms, known.failingMs);
    return Math.max(this.#left(ms, known.at), known.at - this.#time);
  }

  /** What is left now of an estimate as of `at`. */
  #left(ms: number, at: number): number {
    const ageMs = Math.max(0, this.#time - at);
    return Math.max(FLOOR_MS, ms * Math.exp(-ageMs / this.#env.options.decayMs));
  }

  /** What a backend is taken for of which nothing is known. */
  #guessMs(): number {
    return this.#usual.ms ?? this.#env.options.firstGuessMs;
  }

  #refreshUsual(): void {
    if (this.#time - this.#usual.at < USUAL_LASTS_MS) return;
    this.#usual = this.#findUsual((known) => this.#expected(known));
  }

  #refreshUsualAnswer(): void {
    if (this.#time - this.#usualAnswer.at < USUAL_LASTS_MS) return;
    this.#usualAnswer = this.#findUsual(({ answeredMs, answeredAt }) =>
      answeredAt === -Infinity ? null : this.#left(answeredMs, answeredAt),
    );
  }

  #findUsual(estimateOf: (known: Known) => number | null): Usual {
    const estimates: number[] = [];
    for (const backend of this.#pool) {
      const known = this.#knownOf(backend);
      const ms = this.#works(known) ? estimateOf(known) : null;
      if (ms !== null) estimates.push(ms);
    }
    const usualMs = median(estimates);
    const costs: number[] = [];
    for (const backend of this.#pool) {
      const known = this.#knownOf(backend);
      if (known.failingMs !== null) continue;
      const ms = this.#works(known) ? estimateOf(known) : null;
      costs.push((ms ?? usualMs ?? this.#env.options.firstGuessMs) * (backend.inFlight + 1));
    }
    return { at: this.#time, ms: usualMs, cost: median(costs) ?? 0 };
  }

  /** What is known of silent ones has faded, and would make all others look slow. */
  #works(known: Known): boolean {
    return known.measured && known.failingMs === null && !this.#isSilent(known);
  }
}

/** The higher one of two; null when there is none. */
function median(numbers: readonly number[]): number | null {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? null;
}

function createKnown(): Known {
  return {
    ms: 0,
    at: -Infinity,
    answeredMs: 0,
    answeredAt: -Infinity,
    measured: false,
    failingMs: null,
    heardAt: -Infinity,
    failedAt: -Infinity,
    waiting: 0,
  };
}
