/** One request through the attempt loop, to backends that a script plays, with all books in sight. */
import { expect } from "bun:test";
import type { RetryReason } from "../../src/config/config.ts";
import type { AttemptEnd, Strategy } from "../../src/plugin.ts";
import { Counters, countersLength } from "../../src/pool/counters.ts";
import { Pool } from "../../src/pool/pool.ts";
import { AttemptLoop } from "../../src/proxy/attempt-loop.ts";
import type { FrontAnswer } from "../../src/proxy/front.ts";
import type { RequestEnd } from "../../src/proxy/observer.ts";
import { ServingPool } from "../../src/proxy/serving-pool.ts";
import { StrategyHost } from "../../src/strategy/host.ts";
import { TransportError } from "../../src/transport/transport-error.ts";
import type { HandFedReader } from "./byte-reader.ts";
import { frontRequest } from "./front-request.ts";
import { backendConfig, poolConfig } from "./pools.ts";
import { HandFedBody, type ScriptedExchange, ScriptedTransport } from "./scripted-transport.ts";

export type Script = (exchange: ScriptedExchange, index: number) => void;

export interface Bench {
  readonly answer: Promise<FrontAnswer>;
  readonly exchanges: readonly ScriptedExchange[];
  readonly ends: AttemptEnd[];
  /** What observers were told. */
  readonly requestEnds: RequestEnd[];
  clientGone(): void;
  /** Attempts that count as a backend's failure. */
  blamed(): number;
  /** Fails unless nothing is in flight, everything that began has ended once, and nothing was booked without a lease. */
  expectClosedBooks(): void;
}

export interface BenchOptions {
  readonly backends?: number;
  readonly retry?: boolean | readonly RetryReason[];
  readonly method?: string;
  readonly body?: HandFedReader;
  readonly strategy?: (counters: Counters) => Partial<Strategy>;
  readonly requestMs?: number;
  readonly maxInFlight?: number;
}

/** One request to backends that follow the script; `index` counts exchanges over all of them. */
export function send(script: Script, options: BenchOptions = {}): Bench {
  const { backends = 2, maxInFlight = null } = options;
  const configs = Array.from({ length: backends }, (_, i) =>
    backendConfig(`b${i}`, { maxInFlight }),
  );
  const shape = { rows: backends, workers: 1 };
  const counters = new LeasedCounters(new Int32Array(countersLength(shape)), shape);
  const config = poolConfig(configs, {
    retry:
      options.retry === false ? null : { attempts: 2, budget: 0.2, on: retryOn(options.retry) },
    timeouts: { connectMs: 1, firstByteMs: 1, idleMs: 1000, requestMs: options.requestMs ?? null },
  });
  const pool = new Pool(
    config,
    counters,
    configs.map((_, i) => i),
  );
  const started: number[] = [];
  const ends: AttemptEnd[] = [];
  const host = new StrategyHost({
    plugin: {
      name: "probe",
      apiVersion: 1,
      create: () => ({
        score: (backend) => backend.inFlight,
        onStart: (attempt) => void started.push(attempt.id),
        onEnd: (_attempt, end) => void ends.push(end),
        ...options.strategy?.(counters),
      }),
    },
    version: "1",
    options: undefined,
    pool: "web",
    backends: pool.backends,
    now: () => 0,
    random: () => 0.5,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    previous: null,
  });
  const exchanges: ScriptedExchange[] = [];
  const transport = new ScriptedTransport((exchange) => {
    exchanges.push(exchange);
    script(exchange, exchanges.length - 1);
  });
  const reports = { onFailing() {}, onTrialEnded() {} };
  const transports = new Map(pool.backends.map((backend) => [backend, transport]));
  const serving = new ServingPool(pool, host, transports, reports, () => 0);
  const requestEnds: RequestEnd[] = [];
  let clientGone = (): void => {};
  let attempts = 0;
  const front = frontRequest({
    method: options.method ?? "GET",
    body: options.body ?? null,
    onGone: (callback) => {
      clientGone = callback;
    },
  });
  const headers = { get: () => null, has: () => false };
  const loop = new AttemptLoop(
    { worker: 0, now: () => 0, nextAttemptId: () => ++attempts },
    serving,
    {
      front,
      info: {
        method: front.method,
        path: "/",
        query: "",
        host: "a",
        headers,
        clientAddress: "192.0.2.7",
      },
      forwarding: {
        target: "/",
        peerAddress: "192.0.2.7",
        trusted: false,
        requestId: null,
        pseudonym: "leastwise-a1",
      },
      observed: {
        wantsDecision: false,
        routed() {},
        attemptStarting: () => null,
        retryRefused() {},
        ended: (end) => void requestEnds.push(end),
      },
      startedAt: 0,
    },
  );
  const answer = loop.run();
  answer.catch(() => {});
  return {
    answer,
    exchanges,
    ends,
    requestEnds,
    clientGone: () => clientGone(),
    blamed: () => configs.reduce((sum, _, row) => sum + counters.failures(row), 0),
    expectClosedBooks() {
      for (let row = 0; row < backends; row++) expect(counters.inFlight(row)).toBe(0);
      expect(counters.unleased).toEqual([]);
      expect(ends).toHaveLength(started.length);
      expect(new Set(started).size).toBe(started.length);
    },
  };
}

/** Notices what is booked in a row without a lease there: it may be another backend's by then. */
class LeasedCounters extends Counters {
  readonly unleased: string[] = [];

  override countRequest(row: number, worker: number): void {
    this.#check(row, "a request");
    super.countRequest(row, worker);
  }

  override countFailure(row: number, worker: number): void {
    this.#check(row, "a failure");
    super.countFailure(row, worker);
  }

  override addConsecutiveFailures(row: number, count: number): number {
    this.#check(row, "a failure in a row");
    return super.addConsecutiveFailures(row, count);
  }

  override clearConsecutiveFailures(row: number): number {
    this.#check(row, "a success");
    return super.clearConsecutiveFailures(row);
  }

  #check(row: number, what: string): void {
    if (this.inFlight(row) === 0) this.unleased.push(what);
  }
}

function retryOn(retry: BenchOptions["retry"]): readonly RetryReason[] {
  return typeof retry === "object" ? retry : ["connect", "reset"];
}

export const refused = () =>
  new TransportError("connect_refused", "refused", { outcome: "connect", retry: "always" });
export const reset = (stale = false) =>
  new TransportError("reset", "reset", { outcome: "reset", retry: "idempotent", stale });
export const truncated = () =>
  new TransportError("reset", "broken", { outcome: "truncated", retry: "never" });

export const ok: Script = (exchange) => exchange.respond(200, new HandFedBody("whole"), 5);

export function bytesOf(answer: FrontAnswer): string {
  return Buffer.from(answer.body as Uint8Array).toString();
}
