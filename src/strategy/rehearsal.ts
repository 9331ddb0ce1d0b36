import type { Logger } from "../log.ts";
import type {
  Attempt,
  Backend,
  Candidates,
  HeaderReader,
  Outcome,
  PickContext,
  RequestInfo,
  StrategyPlugin,
} from "../plugin.ts";
import { PoolBackend, rowOf } from "../pool/backend.ts";
import { Counters, countersLength } from "../pool/counters.ts";
import type { StrategyFault } from "./fault.ts";
import { type Pick, StrategyHost, type StrategyHostOptions } from "./host.ts";
import { createRandom } from "./random.ts";

export interface RehearsalOptions {
  readonly plugin: StrategyPlugin<unknown>;
  readonly options?: unknown;
  /** One made-up backend each. */
  readonly weights: readonly number[];
  readonly seed?: number;
  readonly previous?: StrategyHostOptions["previous"];
}

/** Backends that can join a rehearsal after its start. */
const SPARE_ROWS = 64;

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

/**
 * A strategy in its real host, with made-up backends, requests, clock and randomness: no sockets,
 * no waiting, and the same seed gives the same run.
 */
export class Rehearsal {
  readonly host: StrategyHost;
  readonly faults: StrategyFault[] = [];
  readonly counters: Counters;
  backends: readonly Backend[];
  /** The host's clock. */
  nowMs = 0;
  #rows = 0;
  #attempts = 0;
  #requests = 0;

  /** Throws what the host throws. */
  constructor(options: RehearsalOptions) {
    const shape = { rows: options.weights.length + SPARE_ROWS, workers: 1 };
    this.counters = new Counters(new Int32Array(countersLength(shape)), shape);
    this.backends = this.#createBackends(options.weights);
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
      onFault: (fault) => void this.faults.push(fault),
    });
  }

  pick(candidates: readonly Backend[] = this.backends, context: Partial<PickContext> = {}): Pick {
    return this.host.pick(candidates as unknown as Candidates, {
      request: context.request ?? createRequest(this.#requests++),
      attempt: context.attempt ?? 1,
      failOpen: context.failOpen ?? false,
    });
  }

  /** Sends a request: from now on it is in flight at the backend. */
  start(backend: Backend, number = 1): Attempt {
    this.counters.addInFlight(rowOf(backend as PoolBackend), 0, 1);
    const attempt: Attempt = Object.freeze({
      id: ++this.#attempts,
      backend,
      number,
      request: createRequest(this.#requests),
      startedAt: this.nowMs,
    });
    this.host.onStart(attempt);
    return attempt;
  }

  end(attempt: Attempt, outcome: Outcome = "ok"): void {
    const durationMs = this.nowMs - attempt.startedAt;
    const answered = outcome === "ok" || outcome === "truncated";
    const status = answered ? 200 : null;
    const firstByteMs = answered ? durationMs : null;
    if (answered) {
      this.host.onResponse(attempt, {
        status: 200,
        firstByteMs: durationMs,
        headers: createHeaders([]),
        upgraded: false,
      });
    }
    this.counters.addInFlight(rowOf(attempt.backend as PoolBackend), 0, -1);
    this.host.onEnd(attempt, { outcome, status, firstByteMs, durationMs });
  }

  /** Other weights are other backends; the first `keep` stay. */
  changePool(keep: number, weights: readonly number[]): void {
    this.backends = [...this.backends.slice(0, keep), ...this.#createBackends(weights)];
    this.host.setBackends(this.backends);
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
      };
      return new PoolBackend(config, this.counters, row);
    });
  }
}

const SILENT: Logger = Object.freeze({ debug() {}, info() {}, warn() {}, error() {} });

function createRequest(index: number): RequestInfo {
  return Object.freeze({
    method: index % 4 === 3 ? "POST" : "GET",
    path: `/items/${index % 50}`,
    query: index % 2 === 0 ? "" : `page=${index % 7}`,
    host: "www.example.test",
    headers: createHeaders([
      ["host", "www.example.test"],
      ["user-agent", "leastwise-rehearsal"],
      ["cookie", `session=${index % 20}`],
    ]),
    clientAddress: `192.0.2.${1 + (index % 200)}`,
  });
}

function createHeaders(fields: readonly (readonly [name: string, value: string])[]): HeaderReader {
  const values = new Map(fields);
  return Object.freeze({
    get: (name: string) => values.get(name.toLowerCase()) ?? null,
    has: (name: string) => values.has(name.toLowerCase()),
  });
}
