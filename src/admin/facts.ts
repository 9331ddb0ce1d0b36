/** What the admin API tells and does. Types only: the master fills them in, the API hands them out. */
import type { Problem } from "../errors.ts";
import type { Health } from "../plugin.ts";
import type { DecisionQuery, RecordedDecision } from "./recorded-decision.ts";
import type { ExplainAnswer, ExplainQuestion } from "./explanation.ts";
import type { StrategyVersion } from "../strategy/strategy-version.ts";
import type { ShadowFigures } from "../strategy/shadow/figures.ts";

export interface BackendStatus {
  readonly id: string;
  readonly url: string;
  /** As configured. */
  readonly weight: number;
  /** As strategies see it: less than `weight` during a slow start. */
  readonly effectiveWeight: number;
  /** Gets requests only when no other backend can. */
  readonly backup: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly health: Health;
  /** ISO 8601; null when not ejected. */
  readonly ejectedUntil: string | null;
  readonly draining: boolean;
  readonly inFlight: number;
  /** Attempts started. */
  readonly requests: number;
  /** Attempts that count for ejection. */
  readonly failures: number;
  readonly connections: { readonly open: number; readonly idle: number };
}

export interface PoolStatus {
  readonly name: string;
  readonly queued: number;
  /** The cookie of its sticky sessions; null: it has none. */
  readonly affinity: string | null;
  readonly strategy: {
    readonly name: string;
    /** `built-in`, or the strategy's file. */
    readonly source: string;
    readonly version: string;
    /** In at least one worker. */
    readonly quarantined: boolean;
    /** Over all workers, since each started. */
    readonly faults: number;
    /** The version that it was taken back from, which a reload would load again; null: it was not. */
    readonly rolledBackFrom: {
      readonly name: string;
      readonly version: string;
      /** The same strategy: only its options are others. */
      readonly onlyOptions: boolean;
    } | null;
  };
  readonly backends: readonly BackendStatus[];
  /** In the order of the config. */
  readonly shadow: readonly ShadowStatus[];
}

/** A strategy that is shown the pool's traffic and places nothing. */
export interface ShadowStatus {
  readonly name: string;
  /** `built-in`, or the strategy's file. */
  readonly source: string;
  readonly version: string;
  /** `restarting`: its process was ended from outside. `stopped`: until another version of it is loaded. */
  readonly state: "starting" | "running" | "restarting" | "stopped";
  /** Why it has stopped or restarts: `looped in score: …`. Null while nothing is wrong. */
  readonly reason: string | null;
  /** How often its process was replaced. */
  readonly restarts: number;
  /** Null while there is no process. */
  readonly pid: number | null;
  /** Since its process started; null when nothing is known. */
  readonly figures: ShadowFigures | null;
}

export interface WorkerStatus {
  /** Its place: while a worker is recycled, two have the same. */
  readonly id: number;
  readonly pid: number;
  /** `stopping`: it finishes what it has. */
  readonly state: "starting" | "serving" | "stopping";
  readonly startedAt: string;
  /** How often the one in this place has died. */
  readonly restarts: number;
  /** Versions of strategy files that it has imported: none is ever unloaded. */
  readonly modules: number;
  /** Null when the worker did not answer in time. */
  readonly pendingRequests: number | null;
  /** Open connections of clients over TCP. Null also where the platform does not tell. */
  readonly clientConnections: number | null;
}

/** How one reload went. */
export interface ReloadReport {
  /** When it began, ISO 8601. */
  readonly at: string;
  readonly tookMs: number;
  /** Who asked for it: `SIGHUP`, `admin API`, `changed files`. */
  readonly trigger: string;
  readonly ok: boolean;
  /** Why the configuration before goes on; empty when `ok`. */
  readonly problems: readonly Problem[];
  /** What an operator should know of it beside that, in sentences. */
  readonly notes: readonly string[];
}

/** A pool's strategy is as it was before. */
export interface RollbackReport {
  readonly pool: string;
  /** What is in force now. */
  readonly strategy: StrategyVersion;
  /** What was in force before. */
  readonly before: StrategyVersion;
}

export interface ReloadStatus {
  /** The config file; null when there is none. */
  readonly file: string | null;
  /** When what is in force was loaded, ISO 8601. */
  readonly loadedAt: string;
  /** Since the start, also those that failed. */
  readonly reloads: number;
  readonly last: ReloadReport | null;
}

/** What the API tells and does; the master knows how. */
export interface AdminFacts {
  /** Serving, and some pool has a backend that is neither probe-down nor draining. */
  ready(): boolean;
  pools(): Promise<PoolStatus[]>;
  workers(): Promise<WorkerStatus[]>;
  /** In the format that the Accept field likes best; null: the request has none. */
  metrics(accept: string | null): Promise<{ readonly contentType: string; readonly body: string }>;
  reloads(): ReloadStatus;
  /** Rejects with a RuntimeError or ConfigError that says why there is no answer. */
  explain(question: ExplainQuestion): Promise<ExplainAnswer>;
  /** The newest first. Null: there is no such pool. */
  decisions(query: DecisionQuery): Promise<RecordedDecision[] | null>;
  /** Never rejects. */
  reload(): Promise<ReloadReport>;
  /** Null: there is no such pool. Rejects with a RuntimeError or ConfigError that says why nothing has changed. */
  rollBack(pool: string): Promise<RollbackReport | null>;
  /** Resolves when all workers are new ones. Rejects with a RuntimeError. */
  recycle(): Promise<void>;
  /** The backend afterwards; null when there is none of that name in that pool. */
  setDraining(pool: string, backend: string, draining: boolean): BackendStatus | null;
}
