import type { Backend, StrategyEnv } from "../src/plugin.ts";
import type { LatencyOptions } from "./latency-options.ts";
import { type LatencySnapshot, readLatencySnapshot } from "./latency-snapshot.ts";

/** What is known of one backend. */
interface Known {
  /** The estimate as of `at`; of no meaning until `measured`. */
  ms: number;
  /** Lies ahead while a backend has asked to be left alone. */
  at: number;
  measured: boolean;
  /** The last thing that it did was to fail. */
  failing: boolean;
  /** When it last gave any sign of itself. */
  heardAt: number;
  failedAt: number;
  /** Requests of this worker that wait for the head of their response. */
  waiting: number;
}

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
  /** Medians: of the estimates of those that work, null when none is known to; of the costs of all that did not fail. */
  #usualMs: number | null = null;
  #usualCost = 0;
  #usualAt = -Infinity;

  constructor(env: StrategyEnv<LatencyOptions>, { peak }: { readonly peak: boolean }) {
    this.#env = env;
    this.#peak = peak;
    this.#time = env.now();
    const previous = readLatencySnapshot(env.previous);
    const startedAt = this.#time;
    this.#knownOf = env.perBackend(({ id, url }) => {
      const before = previous.get(id);
      if (before === undefined || before.url !== url) return createKnown();
      const { ms, heardMs, heldMs } = before;
      const held = Math.min(heldMs, env.options.maxRetryAfterMs);
      return {
        ...createKnown(),
        ms,
        at: startedAt + held,
        measured: true,
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
    if (known.at > this.#time) {
      // It asked to be left alone. Only an answer to a later request shows that it is back early.
      if (startedAt <= known.failedAt) return;
      known.at = this.#time;
    }
    if (!known.measured || (this.#peak && ms > known.ms)) this.#set(known, ms);
    else {
      const kept = Math.exp((known.at - this.#time) / this.#env.options.decayMs);
      this.#set(known, known.ms * kept + ms * (1 - kept));
    }
  }

  /** Nothing came for `ms`, and nobody waits for it any more: it takes at least that long. */
  keptSilent(backend: Backend, ms: number): void {
    const known = this.#knownOf(backend);
    this.#refreshUsual();
    if (ms > (known.measured ? this.#expected(known) : this.#guessMs())) this.#set(known, ms);
  }

  /** It failed, and asked to be left alone for `holdMs`. */
  failed(backend: Backend, holdMs: number): void {
    const { penaltyMs, maxRetryAfterMs } = this.#env.options;
    const known = this.#knownOf(backend);
    const ms = this.#left(known);
    known.failing = true;
    this.#refreshUsual();
    known.ms = Math.max(ms, penaltyMs, FAILURE_FACTOR * this.#usualCost);
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
      return {
        id: backend.id,
        url: backend.url,
        ms: this.#left(known),
        heardMs: Math.min(this.#time - known.heardAt, LONG_AGO_MS),
        heldMs: Math.max(0, known.at - this.#time),
      };
    });
    return { version: 1, backends };
  }

  #set(known: Known, ms: number): void {
    known.ms = ms;
    known.at = this.#time;
    known.measured = true;
    known.failing = false;
  }

  #expectedMs(backend: Backend): number {
    const known = this.#knownOf(backend);
    const silent = this.#isSilent(known);
    if (!silent && known.measured) return this.#expected(known);
    this.#refreshUsual();
    if (silent && known.waiting > 0) {
      // Where nobody is known to work, all are alike, and there is nobody to spare them for.
      const ms = this.#usualMs === null ? this.#guessMs() : TRIAL_FACTOR * this.#usualCost;
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
    return Math.max(this.#left(known), known.at - this.#time);
  }

  /** What is left of an estimate now. */
  #left({ ms, at }: Known): number {
    const ageMs = Math.max(0, this.#time - at);
    return Math.max(FLOOR_MS, ms * Math.exp(-ageMs / this.#env.options.decayMs));
  }

  /** What a backend is taken for of which nothing is known. */
  #guessMs(): number {
    return this.#usualMs ?? this.#env.options.firstGuessMs;
  }

  #refreshUsual(): void {
    if (this.#time - this.#usualAt < USUAL_LASTS_MS) return;
    this.#usualAt = this.#time;
    const estimates: number[] = [];
    for (const backend of this.#pool) {
      const known = this.#knownOf(backend);
      if (this.#works(known)) estimates.push(this.#expected(known));
    }
    this.#usualMs = median(estimates);
    const costs: number[] = [];
    for (const backend of this.#pool) {
      const known = this.#knownOf(backend);
      if (known.failing) continue;
      const ms = this.#works(known) ? this.#expected(known) : this.#guessMs();
      costs.push(ms * (backend.inFlight + 1));
    }
    this.#usualCost = median(costs) ?? 0;
  }

  /** What is known of silent ones has faded, and would make all others look slow. */
  #works(known: Known): boolean {
    return known.measured && !known.failing && !this.#isSilent(known);
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
    measured: false,
    failing: false,
    heardAt: -Infinity,
    failedAt: -Infinity,
    waiting: 0,
  };
}
