/** Why a request went to that backend and to no other, for those who want to know. */
import type { PoolBackend } from "../pool/backend.ts";
import type { Pool } from "../pool/pool.ts";
import { countEjected, type Exclusion, exclusionOf, type Tried } from "./candidates.ts";

export interface Decision {
  readonly candidates: readonly DecisionCandidate[];
  readonly excluded: readonly ExcludedBackend[];
  /** More than one candidate had the lowest score; Infinity is none. */
  readonly tie: boolean;
  /** Every backend was ejected: requests are sent anyway. */
  readonly failOpen: boolean;
  /** Of the pool's backends, whether excluded for it or not. */
  readonly ejected: number;
  /** The client's session decided; absent: the strategy did. */
  readonly affinity?: true;
}

export interface DecisionCandidate {
  readonly id: string;
  /** Before this request. */
  readonly inFlight: number;
  /** Lower is better, Infinity: not this one. Null when the strategy picks without scores. */
  readonly score: number | null;
}

export interface ExcludedBackend {
  readonly id: string;
  readonly reason: Exclusion;
}

export interface DecisionOptions {
  readonly pool: Pool;
  readonly candidates: readonly PoolBackend[];
  /** In the order of the candidates; empty when there are none. */
  readonly scores: readonly number[];
  readonly tried: Tried;
  readonly failOpen: boolean;
  /** The client's session decides, not the strategy; absent: it does not. */
  readonly affinity?: boolean;
}

/** Must be called before the pick's lease is taken, which would count as in flight. */
export function explain(options: DecisionOptions): Decision {
  const { pool, candidates, scores, failOpen, affinity = false } = options;
  return {
    candidates: candidates.map(({ id, inFlight }, index) => ({
      id,
      inFlight,
      score: scores[index] ?? null,
    })),
    excluded: excludedFrom(options),
    tie: isTie(scores),
    failOpen,
    ejected: countEjected(pool),
    ...(affinity ? { affinity } : {}),
  };
}

function excludedFrom({ pool, candidates, tried, failOpen }: DecisionOptions): ExcludedBackend[] {
  const { backends } = pool;
  if (candidates.length === backends.length) return [];
  const there = new Set(candidates);
  return backends
    .filter((backend) => !there.has(backend))
    .map((backend) => ({
      id: backend.id,
      reason: exclusionOf(pool, backend, tried, failOpen),
    }));
}

function isTie(scores: readonly number[]): boolean {
  let lowest = Infinity;
  let count = 0;
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i] as number;
    if (score < lowest) {
      lowest = score;
      count = 1;
    } else if (score === lowest && score !== Infinity) count++;
  }
  return count > 1;
}
