import type { ExplainedRequest } from "../admin/explanation.ts";
import { place, type Placed } from "../balance/placement.ts";
import type { RequestInfo, StrategyPlugin } from "../plugin.ts";
import { Counters, countersLength, EJECTION_ON } from "../pool/counters.ts";
import type { PoolBackend } from "../pool/backend.ts";
import { Pool } from "../pool/pool.ts";
import { fakeRequest } from "../strategy/fake-request.ts";
import { StrategyHost } from "../strategy/host.ts";
import { createRandom } from "../strategy/random.ts";
import type { ForkTask } from "./explain-job.ts";

export interface ForkOptions {
  readonly task: ForkTask;
  readonly plugin: StrategyPlugin<unknown>;
  readonly version: string;
  readonly options: unknown;
  readonly quarantined: boolean;
  readonly seed: number;
  /** Continues the clock of the instance that this is a fork of. */
  readonly now: () => number;
  /** What the instance left, no other fork's; null when it left nothing. */
  readonly previous: { readonly name: string; readonly snapshot: unknown } | null;
}

/** A copy of a pool and of its strategy instance. Nothing that happens to it happens to anybody else. */
export class StrategyFork {
  readonly pool: Pool;
  readonly faults: string[] = [];
  readonly #host: StrategyHost;
  readonly #request: RequestInfo;
  readonly #session: PoolBackend | null;
  #randomCalls = 0;

  /** Throws what the host throws. */
  constructor(options: ForkOptions) {
    const { task, plugin, version, quarantined, seed, now, previous } = options;
    this.pool = copyPool(task);
    this.#request = requestInfo(task.request);
    this.#session = this.pool.backends.find(({ id }) => id === task.session) ?? null;
    const random = createRandom(seed);
    this.#host = new StrategyHost({
      plugin,
      version,
      options: options.options,
      pool: task.pool.name,
      backends: this.pool.backends,
      now,
      random: () => {
        this.#randomCalls++;
        return random();
      },
      log: SILENT,
      sealed: quarantined,
      previous,
      onFault: ({ message }) => void this.faults.push(message),
    });
  }

  /** Chance had a part in it, be it the strategy's own or that between equal scores. */
  get usedRandom(): boolean {
    return this.#randomCalls > 0;
  }

  /** Places the request, and takes it away again. */
  place(wantsDecision: boolean): Placed {
    const placed = place({
      pool: this.pool,
      host: this.#host,
      worker: 0,
      request: this.#request,
      attempt: 1,
      tried: new Set(),
      session: this.#session,
      now: null,
      wantsDecision,
    });
    if (typeof placed !== "string" && placed.backend !== null) placed.admission.release();
    return placed;
  }
}

/** With the modifications, if there are any. */
function copyPool({ pool, facts, modifications }: ForkTask): Pool {
  // An object has "constructor" of its own accord, and a backend may be called so.
  const weights = new Map(Object.entries(modifications?.weights ?? {}));
  const backends = facts.map(({ config, weightPart }) => {
    const weight = weights.get(config.id) ?? config.weight;
    return { ...config, weight: weight * weightPart };
  });
  const shape = { rows: facts.length, workers: 1 };
  const counters = new Counters(new Int32Array(countersLength(shape)), shape);
  for (const [row, { config, probe, ejection, draining, inFlight }] of facts.entries()) {
    counters.setProbe(row, probe);
    counters.setEjection(row, ejection, ejection === EJECTION_ON ? Infinity : 0);
    counters.setDraining(row, draining || (modifications?.drain.includes(config.id) ?? false));
    for (let count = 0; count < inFlight; count++) counters.addInFlight(row, 0, 1);
  }
  return new Pool({ ...pool, backends }, counters, [...facts.keys()]);
}

function requestInfo({ headers, ...request }: ExplainedRequest): RequestInfo {
  return fakeRequest({ ...request, headers });
}

const SILENT = Object.freeze({ debug() {}, info() {}, warn() {}, error() {} });
