/** What `POST /api/v1/explain` is asked and answers. Types only. */
import type { Exclusion, NoCandidates } from "../balance/candidates.ts";
import type { BackendConfig } from "../config/config.ts";
import type { StrategyDescription } from "../strategy/module.ts";
import type { ShownScore } from "./recorded-decision.ts";

/** Of a request that nobody sends. */
export interface ExplainedRequest {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly query: string;
  readonly clientAddress: string;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
}

/** What would be different. */
export interface Modifications {
  /** Ids of backends that would be draining. */
  readonly drain: readonly string[];
  /** By id of a backend. */
  readonly weights: Readonly<Record<string, number>>;
}

export interface ExplainQuestion {
  readonly request: ExplainedRequest;
  /** Null: the one that the routes say. */
  readonly pool: string | null;
  readonly modifications: Modifications;
  /** Whether the answer is to hold what somebody needs who tries another strategy. */
  readonly facts: boolean;
}

export interface ExplainAnswer {
  readonly request: ExplainedRequest;
  /** The pattern; null: the only pool gets everything, or the pool was asked for. */
  readonly route: string | null;
  /** Null: no route leads anywhere. */
  readonly pool: string | null;
  /** As things are. Null without a pool. */
  readonly before: ExplainedPick | null;
  /** With the modifications; null when there are none. */
  readonly after: ExplainedPick | null;
  /** Null unless they were asked for. */
  readonly facts: ForkFacts | null;
}

/** A pool at one moment, for a strategy that is tried on it. */
export interface ForkFacts {
  readonly backends: readonly BackendFacts[];
  readonly strategy: StrategyDescription;
  /** Of the strategy, as the config gives them. */
  readonly options?: unknown;
  /** What its instance left, structured-cloned, in base64; null when it leaves nothing. */
  readonly snapshot: string | null;
  /** On the clock of that instance. */
  readonly nowMs: number;
  /** Id of the backend that the client's cookie names; null: it has no session. */
  readonly session: string | null;
}

export interface BackendFacts {
  readonly config: BackendConfig;
  /** Words of the shared counters. */
  readonly probe: 0 | 1 | 2;
  readonly ejection: number;
  readonly draining: boolean;
  readonly inFlight: number;
  /** Of its weight; 1 unless it is in its slow start. */
  readonly weightPart: number;
}

/** Who would get a request, and why. */
export interface ExplainedPick {
  readonly strategy: StrategyDescription;
  /** Of several that are possible the likeliest; null: nobody. */
  readonly chosen: string | null;
  /** Why nobody: what is wrong with the backends, or the strategy's own refusal. */
  readonly nobody: NoCandidates | "refused" | null;
  /** `pick`: the strategy has no scores. `least-connections`: it could not answer, and that did. `affinity`: it is not asked. */
  readonly decidedBy: "score" | "pick" | "least-connections" | "affinity";
  /** One sentence. */
  readonly why: string;
  /** What the strategy did wrong, if it could not answer. */
  readonly fault: string | null;
  readonly tie: boolean;
  readonly failOpen: boolean;
  /** In the pool's order. */
  readonly candidates: readonly ExplainedCandidate[];
  readonly excluded: readonly {
    readonly id: string;
    readonly reason: Exclusion;
    readonly inFlight: number;
    readonly weight: number;
  }[];
  /** Of 1,000 picks, by id, when not all are the same; `-` is a refusal. */
  readonly shares: Readonly<Record<string, number>> | null;
  /** Whether it knows what the running instance knows, or begins anew. */
  readonly state: "snapshot" | "none";
  /** Where instances of other workers, which have seen other requests, decide otherwise. */
  readonly otherWorkers: readonly {
    readonly worker: number;
    readonly chosen: string | null;
    /** Least connections answers there. */
    readonly quarantined: boolean;
  }[];
}

export interface ExplainedCandidate {
  readonly id: string;
  readonly inFlight: number;
  readonly weight: number;
  readonly score: ShownScore;
}
