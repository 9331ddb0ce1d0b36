/** What `GET /api/v1/decisions` is asked and tells. Types only. */
import type { Exclusion } from "../balance/candidates.ts";

/** JSON has no Infinity. Null: the strategy picks without scores. */
export type ShownScore = number | "Infinity" | null;

export interface DecisionRequest {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  /** What is secret in it replaced, as in traces. */
  readonly query: string;
  readonly clientAddress: string;
  /** Those that the strategy has looked at; null: the request had none. */
  readonly headers: Readonly<Record<string, string | null>>;
  /** Fields that it has looked at, too, whose values are not kept: they are credentials. */
  readonly withheld: readonly string[];
}

export interface RecordedCandidate {
  readonly id: string;
  readonly url: string;
  /** Before this request. */
  readonly inFlight: number;
  readonly weight: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly score: ShownScore;
}

/** Why one request went to one backend, or to none. */
export interface RecordedDecision {
  /** ISO 8601. */
  readonly at: string;
  readonly worker: number;
  readonly pool: string;
  /** Null: the request was not traced. */
  readonly traceId: string | null;
  /** 1 for the first. */
  readonly attempt: number;
  readonly strategy: { readonly name: string; readonly version: string };
  /** `pick`: the strategy has no scores. `least-connections`: it could not answer, and that did. `affinity`: it was not asked. */
  readonly decidedBy: "score" | "pick" | "least-connections" | "affinity";
  /** Null: the strategy refused the request, or another attempt of it. */
  readonly chosen: string | null;
  readonly fallback: boolean;
  readonly tie: boolean;
  readonly failOpen: boolean;
  readonly pickMs: number;
  readonly candidates: readonly RecordedCandidate[];
  readonly excluded: readonly { readonly id: string; readonly reason: Exclusion }[];
  /** Candidates and exclusions that are not listed: the pool is too large. */
  readonly leftOut: number;
  readonly request: DecisionRequest;
}

export interface DecisionQuery {
  /** Null: of all. */
  readonly pool: string | null;
  /** Lower-case hex; null: of all. */
  readonly traceId: string | null;
  readonly limit: number;
}
