import type { Logger } from "../log.ts";
import type {
  Attempt,
  Backend,
  Candidates,
  Health,
  Outcome,
  PickContext,
  RequestInfo,
  StrategyPlugin,
} from "../plugin.ts";
import type { FakeClock } from "../testing-api.ts";
import { PoolBackend, rowOf } from "../pool/backend.ts";
import {
  Counters,
  countersLength,
  PROBE_HEALTHY,
  PROBE_UNHEALTHY,
  PROBE_UNKNOWN,
} from "../pool/counters.ts";
import { type CallMark, NO_CALL_MARK } from "../pool/worker-pulse.ts";
import { addInFlight, changeBackend, FakeBackend } from "./fake-backend.ts";
import { fakeClock } from "./fake-clock.ts";
import { fakeHeaders, numberedRequest } from "./fake-request.ts";
import type { StrategyFault } from "./fault.ts";
import { type Pick, StrategyHost, type StrategyHostOptions } from "./host.ts";
import { createRandom } from "./random.ts";

export interface RehearsalOptions {
  readonly plugin: StrategyPlugin<unknown>;
  readonly options?: unknown;
  /** One made-up backend each. */
  readonly weights?: readonly number[];
  /** Instead of `weights`. */
  readonly backends?: readonly FakeBackend[];
  readonly seed?: number;
  readonly clock?: FakeClock;
  readonly previous?: StrategyHostOptions["previous"];
  readonly mark?: CallMark;
}

/** How an attempt ends, where that is not plain from its outcome. */
export interface RehearsedEnd {
  /** Of the response; default 200, null when the outcome says that none came. */
  readonly status?: number | null;
  /** Default: as long as the whole attempt took. */
  readonly firstByteMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly upgraded?: boolean;
}

/** Backends that can join a rehearsal after its start. */
const SPARE_ROWS = 64;

const PROBES = {
  unknown: PROBE_UNKNOWN,
  healthy: PROBE_HEALTHY,
  unhealthy: PROBE_UNHEALTHY,
} as const satisfies Record<Health, number>;

const OUTCOMES = [
  "ok",
  "ok",
  "ok",
  "connect",
  "ok",
  "reset",
  "timeout",
  "ok",
  "truncated",
  "invalid",
  "client_gone",
] as const satisfies readonly Outcome[];

let ownerOf: (attempt: Attempt) => Rehearsal | null;

/** Knows where it belongs without a strategy seeing it. */
class RehearsedAttempt implements Attempt {
  readonly id: number;
  readonly backend: Backend;
  readonly number: number;
  readonly request: RequestInfo;
  readonly startedAt: number;
  readonly #rehearsal: Rehearsal;

  constructor(rehearsal: Rehearsal, facts: Attempt) {
    this.id = facts.id;
    this.backend = facts.backend;
    this.number = facts.number;
    this.request = facts.request;
    this.startedAt = facts.startedAt;
    this.#rehearsal = rehearsal;
    Object.freeze(this);
  }

  static {
    ownerOf = (attempt) => (#rehearsal in attempt ? attempt.#rehearsal : null);
    Object.freeze(RehearsedAttempt.prototype);
  }
}

/** The rehearsal that an attempt belongs to; null when it is of somebody else's making. */
export function rehearsalOf(attempt: Attempt): Rehearsal | null {
  return ownerOf(attempt);
}

/**
 * A strategy in its real host, with made-up backends, requests, clock and randomness: no sockets,
 * no waiting, and the same seed gives the same run. What the strategy is given is frozen.
 */
export class Rehearsal {
  readonly host: StrategyHost;
  readonly faults: StrategyFault[] = [];
  /** Of the backends that the rehearsal made; those handed in keep their own count. */
  readonly counters: Counters;
  backends: readonly Backend[];
  readonly clock: FakeClock;
  readonly #running = new Set<Attempt>();
  #rows = 0;
  #attempts = 0;
  #requests = 0;

  /** Throws what the host throws. */
  constructor(options: RehearsalOptions) {
    const weights = options.weights ?? [1];
    const shape = { rows: weights.length + SPARE_ROWS, workers: 1 };
    this.counters = new Counters(new Int32Array(countersLength(shape)), shape);
    this.clock = options.clock ?? fakeClock();
    this.backends = options.backends ?? this.#createBackends(weights);
    this.host = new StrategyHost({
      plugin: options.plugin,
      version: "rehearsal",
      options: options.options,
      pool: "rehearsal",
      backends: this.backends,
      now: () => this.nowMs,
      random: createRandom(options.seed ?? 1),
      log: SILENT,
      previous: options.previous ?? null,
      mark: options.mark ?? NO_CALL_MARK,
      onFault: (fault) => void this.faults.push(fault),
    });
  }

  /** The host's clock. */
  get nowMs(): number {
    return this.clock.now();
  }

  set nowMs(ms: number) {
    this.clock.advance(ms - this.clock.now());
  }

  pick(candidates: readonly Backend[] = this.backends, context: Partial<PickContext> = {}): Pick {
    return this.host.pick(
      candidates as unknown as Candidates,
      Object.freeze({
        request: context.request ?? numberedRequest(this.#requests++),
        attempt: context.attempt ?? 1,
        failOpen: context.failOpen ?? false,
      }),
    );
  }

  /** Sends a request: from now on it is in flight at the backend. */
  start(backend: Backend, number = 1, request?: RequestInfo): Attempt {
    this.#addInFlight(backend, 1);
    const attempt = new RehearsedAttempt(this, {
      id: ++this.#attempts,
      backend,
      number,
      request: request ?? numberedRequest(this.#requests),
      startedAt: this.nowMs,
    });
    this.#running.add(attempt);
    this.host.onStart(attempt);
    return attempt;
  }

  end(attempt: Attempt, outcome: Outcome = "ok", how: RehearsedEnd = {}): void {
    if (!this.#running.delete(attempt)) {
      throw new Error(
        `attempt ${attempt.id} is not running: it has ended, or is none of this rehearsal`,
      );
    }
    const durationMs = this.nowMs - attempt.startedAt;
    const answered = outcome === "ok" || outcome === "truncated";
    const status = how.status === undefined ? (answered ? 200 : null) : how.status;
    const firstByteMs = status === null ? null : (how.firstByteMs ?? durationMs);
    if (status !== null && firstByteMs !== null) {
      const headers = fakeHeaders(how.headers);
      const upgraded = how.upgraded ?? false;
      this.host.onResponse(attempt, Object.freeze({ status, firstByteMs, headers, upgraded }));
    }
    this.#addInFlight(attempt.backend, -1);
    this.host.onEnd(attempt, Object.freeze({ outcome, status, firstByteMs, durationMs }));
  }

  /** Other weights are other backends; the first `keep` stay. */
  changePool(keep: number, weights: readonly number[]): void {
    this.setBackends([...this.backends.slice(0, keep), ...this.#createBackends(weights)]);
  }

  /** A new backend, with a name that none had before. */
  join(weight: number): void {
    this.setBackends([...this.backends, ...this.#createBackends([weight])]);
  }

  setBackends(backends: readonly Backend[]): void {
    this.backends = backends;
    this.host.setBackends(backends);
  }

  changeHealth(backend: Backend, to: Health): void {
    const from = backend.health;
    if (backend instanceof FakeBackend) changeBackend(backend, { health: to });
    else this.counters.setProbe(rowOf(backend as PoolBackend), PROBES[to]);
    this.host.healthChanged(backend, from, to);
  }

  /**
   * Sends that many requests, with about one in flight per backend and every way of ending, and
   * returns the ids of the backends picked (`-` for a refusal).
   */
  run(requests: number): string[] {
    const picked: string[] = [];
    const running: Attempt[] = [];
    for (let index = 0; index < requests; index++) {
      this.nowMs += 7;
      const { backend } = this.pick();
      picked.push(backend?.id ?? "-");
      if (backend !== null) running.push(this.start(backend));
      if (running.length > this.backends.length) this.#endOldest(running, index);
    }
    for (let index = 0; running.length > 0; index++) this.#endOldest(running, index);
    return picked;
  }

  #endOldest(running: Attempt[], index: number): void {
    const attempt = running.shift();
    if (attempt !== undefined) this.end(attempt, OUTCOMES[index % OUTCOMES.length]);
  }

  #addInFlight(backend: Backend, difference: 1 | -1): void {
    if (backend instanceof FakeBackend) addInFlight(backend, difference);
    else this.counters.addInFlight(rowOf(backend as PoolBackend), 0, difference);
  }

  #createBackends(weights: readonly number[]): PoolBackend[] {
    return weights.map((weight) => {
      const row = this.#rows++;
      const hostname = `backend-${row + 1}.test`;
      const config = {
        id: `backend-${row + 1}`,
        url: `http://${hostname}`,
        address: { hostname, port: 80 },
        weight,
        labels: {},
        maxInFlight: null,
        backup: false,
      };
      return new PoolBackend(config, this.counters, row);
    });
  }
}

const SILENT: Logger = Object.freeze({ debug() {}, info() {}, warn() {}, error() {} });
