import type { DecisionQuery, RecordedDecision, ShownScore } from "../admin/recorded-decision.ts";
import type { Decision } from "../balance/decision.ts";
import { isCredential } from "../config/header-rules.ts";
import type { RequestInfo } from "../plugin.ts";
import type { PoolBackend } from "../pool/backend.ts";
import type { DecisionSink, MadeDecision } from "../proxy/decision-sink.ts";
import type { ReadFields } from "../proxy/header-reads.ts";
import { createRedactor } from "../telemetry/redact.ts";

export interface DecisionLogOptions {
  /** The worker's place. */
  readonly worker: number;
  /** Unix time in milliseconds. */
  readonly wallClock: () => number;
}

/** Decisions of a pool that are made only for this log, each second; those of traced requests come on top. */
export const SAMPLED_PER_SECOND = 4;
/** Kept of each pool … */
const MOST_DECISIONS = 256;
/** … with so many backends in them, some 100 bytes each … */
const MOST_LISTED = 8192;
/** … and in one of them. */
const MOST_LISTED_EACH = 256;

/**
 * The last decisions of a worker, pool by pool. While nobody asks this costs a comparison at each
 * pick, and a few decisions a second: those that the traces want are there already.
 */
export class DecisionLog {
  readonly #options: DecisionLogOptions;
  readonly #pools = new Map<string, PoolDecisions>();
  #redact = createRedactor([]);

  constructor(options: DecisionLogOptions) {
    this.#options = options;
  }

  /** Keys of the query whose values are secrets, beside those that always are. */
  set redactQuery(keys: readonly string[]) {
    this.#redact = createRedactor(keys);
  }

  of(pool: string): DecisionSink {
    let decisions = this.#pools.get(pool);
    if (decisions === undefined) {
      decisions = new PoolDecisions(this.#options);
      this.#pools.set(pool, decisions);
    }
    return decisions;
  }

  /** A second has passed. */
  tick(): void {
    for (const decisions of this.#pools.values()) decisions.refill();
  }

  /** Forgets those of other pools. */
  keep(pools: ReadonlySet<string>): void {
    for (const name of this.#pools.keys()) if (!pools.has(name)) this.#pools.delete(name);
  }

  /** The newest first. */
  read({ pool, traceId, limit }: DecisionQuery): RecordedDecision[] {
    const asked = [...this.#pools].filter(([name]) => pool === null || pool === name);
    return asked
      .flatMap(([name, decisions]) =>
        decisions.newest(limit, traceId).map((kept) => [name, kept] as const),
      )
      .toSorted(([, one], [, two]) => two.atMs - one.atMs)
      .slice(0, limit)
      .map(([name, kept]) => this.#show(name, kept));
  }

  #show(pool: string, kept: Kept): RecordedDecision {
    const { decision, weights, backends, request, read } = kept;
    const withheld = [...read.keys()].filter(isCredential);
    return {
      at: new Date(kept.atMs).toISOString(),
      worker: this.#options.worker,
      pool,
      traceId: kept.traceId,
      attempt: kept.attempt,
      strategy: kept.strategy,
      decidedBy: decidedBy(kept),
      chosen: kept.chosen,
      fallback: kept.fallback,
      tie: decision.tie,
      failOpen: decision.failOpen,
      pickMs: kept.pickMs,
      candidates: decision.candidates.map(({ id, inFlight, score }, index) => ({
        id,
        url: backends[index]?.url ?? "",
        inFlight,
        weight: weights[index] ?? 1,
        labels: backends[index]?.labels ?? {},
        score: shownScore(score),
      })),
      excluded: decision.excluded,
      leftOut: kept.leftOut,
      request: {
        ...request,
        query: this.#redact(request.query),
        headers: Object.fromEntries([...read].filter(([name]) => !isCredential(name))),
        withheld,
      },
    };
  }
}

export function shownScore(score: number | null): ShownScore {
  return score === Infinity ? "Infinity" : score;
}

/** Holds on to nothing of the request: neither its header nor its lease. */
interface Kept {
  readonly atMs: number;
  readonly traceId: string | null;
  readonly attempt: number;
  readonly strategy: RecordedDecision["strategy"];
  /** Null: the strategy refused. */
  readonly chosen: string | null;
  readonly fallback: boolean;
  readonly pickMs: number;
  readonly request: Omit<RequestInfo, "headers">;
  readonly read: ReadFields;
  /** With as many candidates and exclusions as are kept. */
  readonly decision: Decision;
  /** As they were; of each candidate. */
  readonly weights: readonly number[];
  readonly backends: readonly (PoolBackend | undefined)[];
  readonly leftOut: number;
}

class PoolDecisions implements DecisionSink {
  due = true;
  readonly #wallClock: () => number;
  readonly #kept: Kept[] = [];
  #listed = 0;
  #left = SAMPLED_PER_SECOND;
  /** Of the pool as it was when a decision was last taken. */
  #backends: readonly PoolBackend[] = [];
  #byId: ReadonlyMap<string, PoolBackend> = new Map();

  constructor({ wallClock }: DecisionLogOptions) {
    this.#wallClock = wallClock;
  }

  refill(): void {
    this.#left = SAMPLED_PER_SECOND;
    this.due = true;
  }

  take({ pool, strategy, request, read, placed, attempt, traceId }: MadeDecision): void {
    const { decision: whole, backend, fallback, pickMs } = placed;
    if (whole === null) return;
    this.due = --this.#left > 0;
    const chosen = backend?.id ?? null;
    const decision = shortened(whole, chosen);
    const backends = decision.candidates.map(({ id }) => this.#find(pool.backends, id));
    const { method, host, path, query, clientAddress } = request;
    this.#kept.push({
      atMs: this.#wallClock(),
      traceId,
      attempt,
      strategy: { name: strategy.name, version: strategy.version },
      chosen,
      fallback,
      pickMs,
      request: { method, host, path, query, clientAddress },
      read,
      decision,
      backends,
      weights: backends.map((each) => each?.weight ?? 1),
      leftOut: sizeOf(whole) - sizeOf(decision),
    });
    this.#listed += sizeOf(decision);
    while (this.#kept.length > MOST_DECISIONS || this.#listed > MOST_LISTED) {
      const oldest = this.#kept.shift();
      if (oldest !== undefined) this.#listed -= sizeOf(oldest.decision);
    }
  }

  /** The newest first. */
  newest(limit: number, traceId: string | null): Kept[] {
    const asked =
      traceId === null ? this.#kept : this.#kept.filter((kept) => kept.traceId === traceId);
    return asked.slice(-limit).toReversed();
  }

  #find(backends: readonly PoolBackend[], id: string): PoolBackend | undefined {
    if (backends !== this.#backends) {
      this.#backends = backends;
      this.#byId = new Map(backends.map((backend) => [backend.id, backend]));
    }
    return this.#byId.get(id);
  }
}

function sizeOf({ candidates, excluded }: Decision): number {
  return candidates.length + excluded.length;
}

/** The same, when it is not too long; the chosen one is always in it. */
function shortened(decision: Decision, chosen: string | null): Decision {
  if (sizeOf(decision) <= MOST_LISTED_EACH) return decision;
  const first = decision.candidates.slice(0, MOST_LISTED_EACH);
  const isIn = first.some(({ id }) => id === chosen);
  const rest = isIn ? [] : decision.candidates.filter(({ id }) => id === chosen);
  const candidates = [...first.slice(0, MOST_LISTED_EACH - rest.length), ...rest];
  const excluded = decision.excluded.slice(0, MOST_LISTED_EACH - candidates.length);
  return { ...decision, candidates, excluded };
}

function decidedBy({ decision, fallback }: Kept): RecordedDecision["decidedBy"] {
  if (decision.affinity) return "affinity";
  if (fallback) return "least-connections";
  return decision.candidates.some(({ score }) => score !== null) ? "score" : "pick";
}
