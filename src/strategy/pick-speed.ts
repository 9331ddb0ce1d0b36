import type { Candidates, StrategyPlugin } from "../plugin.ts";
import type { BackendConfig } from "../config/config.ts";
import { PoolBackend } from "../pool/backend.ts";
import { Counters, countersLength } from "../pool/counters.ts";
import { numberedRequest } from "./fake-request.ts";
import type { StrategyFault } from "./fault.ts";
import { StrategyHost } from "./host.ts";
import { createRandom } from "./random.ts";

export interface PickSpeedOptions {
  readonly plugin: StrategyPlugin<unknown>;
  readonly options?: unknown;
  readonly candidates: number;
  /** Monotonic nanoseconds. */
  nowNs(): number;
  /** How long the picks of one round are to take together. Default: 5 ms. */
  readonly roundNs?: number;
}

const REQUESTS = 64;
const ROUNDS = 7;

export interface PickSpeed {
  /** What one pick takes; NaN with a fault: least connections answers in its place, and is quick. */
  readonly ns: number;
  /** The first; null: there was none. */
  readonly fault: StrategyFault | null;
}

/**
 * Nanoseconds that one pick takes in its host, requests' start and end not counted in. The best of
 * some rounds: whatever else runs on the machine only ever makes it look slower. Backends are real
 * ones over memory of this process, with some requests in flight that move all the time.
 *
 * Throws what the host throws.
 */
export function measurePick(options: PickSpeedOptions): PickSpeed {
  const { plugin, candidates, nowNs, roundNs = 5e6 } = options;
  const shape = { rows: candidates, workers: 1 };
  const counters = new Counters(new Int32Array(countersLength(shape)), shape);
  const random = createRandom(1);
  const backends = Array.from({ length: candidates }, (_, row) => {
    for (let busy = Math.floor(random() * 8); busy > 0; busy--) counters.addInFlight(row, 0, 1);
    return new PoolBackend(configOf(row), counters, row);
  });
  let nowMs = 0;
  let fault: StrategyFault | null = null;
  const host = new StrategyHost({
    plugin,
    version: "bench",
    options: options.options,
    pool: "bench",
    backends,
    now: () => nowMs,
    random,
    log: SILENT,
    previous: null,
    onFault: (found) => void (fault ??= found),
  });
  const contexts = Array.from({ length: REQUESTS }, (_, index) => ({
    request: numberedRequest(index),
    attempt: 1,
    failOpen: false,
  }));
  const list = backends as unknown as Candidates;
  const pickMany = (count: number): number => {
    const startNs = nowNs();
    for (let index = 0; index < count; index++) {
      nowMs += 0.01;
      // Where one request ends another begins, so that the lowest is not the same for ever.
      counters.addInFlight(index % candidates, 0, (index / candidates) & 1 ? -1 : 1);
      host.pick(list, contexts[index % REQUESTS] as (typeof contexts)[number]);
    }
    return (nowNs() - startNs) / count;
  };

  // Until a round is long enough to be measured; the compiler warms up on the way.
  let count = 1;
  while (pickMany(count) * count < roundNs && count < 1e7 && host.faults === 0) count *= 2;
  let ns = Infinity;
  for (let round = 0; round < ROUNDS && host.faults === 0; round++) {
    ns = Math.min(ns, pickMany(count));
  }
  const speed: PickSpeed = { ns: host.faults === 0 ? ns : NaN, fault };
  host.dispose();
  return speed;
}

/** What a pick may take: room for a full scan, so that picking is nothing beside a request. */
export function pickBudgetNs(candidates: number): number {
  return 20_000 + 1000 * candidates;
}

function configOf(row: number): BackendConfig {
  const hostname = `backend-${row + 1}.test`;
  return {
    id: `backend-${row + 1}`,
    url: `http://${hostname}`,
    address: { hostname, port: 80 },
    weight: 1,
    labels: {},
    maxInFlight: null,
    backup: false,
  };
}

const SILENT = Object.freeze({ debug() {}, info() {}, warn() {}, error() {} });
