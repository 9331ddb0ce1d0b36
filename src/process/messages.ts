/** What master and workers say to each other over Bun's IPC. Plain data, structured-cloned. */
import type { Config, TelemetryConfig } from "../config/config.ts";
import type { Problem } from "../errors.ts";
import type { Health } from "../plugin.ts";
import type { CountersShape } from "../pool/counters.ts";
import type { ExportReport } from "../telemetry/export-watch.ts";
import type { ServiceIdentity } from "../telemetry/resource-attributes.ts";
import type { ExportTls } from "../telemetry/tls-files.ts";
import type { StrategyDescription, StrategyModule } from "../strategy/module.ts";
import { type Answer, isAnswer, type Question } from "./answers.ts";
import type { StopTimes } from "./listeners.ts";
import type { ShadowPlan } from "./shadow/shadow-memory.ts";

/** What a worker needs of the config. The admin API's token is no part of it: strategies run here. */
export type ServedConfig = Pick<
  Config,
  "listen" | "pools" | "routes" | "trustedProxies" | "clientConnections" | "requestId" | "accessLog"
>;

/** Everything a worker needs to serve; a reload sends a new one. */
export interface Plan {
  /** Counts up; two-phase messages name it. */
  readonly generation: number;
  readonly config: ServedConfig;
  /** Per pool name, in the order of its backends, their rows in the shared counters. */
  readonly rows: Readonly<Record<string, readonly number[]>>;
  readonly strategies: Readonly<Record<string, PlannedStrategy>>;
  /** Absent: no pool has shadows. */
  readonly shadow?: ShadowPlan;
}

export interface PlannedStrategy {
  readonly module: StrategyModule;
  readonly description: StrategyDescription;
}

/** What a worker has to know of a strategy beside its code. */
export interface StrategyCondition {
  /** Names this version of this strategy in this pool, in the words of the shared memory. */
  readonly number: number;
  /** It has ended workers: no call may reach it. */
  readonly sealed: boolean;
}

/** By pool. */
export type StrategyConditions = Readonly<Record<string, StrategyCondition>>;

/** Sent once, before anything else. */
export interface WorkerSetup {
  /** Its place among the workers; for a while one that stops and its successor have the same. */
  readonly index: number;
  /** What it alone writes of the shared memory: no two living workers have the same. */
  readonly column: number;
  /** Another worker serves in its place until this one does. */
  readonly succeeds: boolean;
  /** The counters, and behind them the census of connections. */
  readonly counters: {
    readonly handle: string;
    readonly shape: CountersShape;
    readonly censusKey: string;
  };
  readonly seed: number;
  /** Goes with all that the worker says from then on. Strategies never see it. */
  readonly key: string;
  /** Names this program among all that a request may pass; the same for all its workers. */
  readonly instance: string;
  readonly telemetry: {
    readonly config: TelemetryConfig;
    /** The same for all processes: they are one resource. */
    readonly service: ServiceIdentity;
    /** As the files were at the start of the program. */
    readonly tls: ExportTls;
  };
}

/**
 * A plan takes effect in two phases: every worker prepares it (imports, instances, listeners), and
 * only when all have is it committed; one refusal aborts it everywhere and the old one goes on.
 */
export type ToWorker =
  | { readonly type: "setup"; readonly setup: WorkerSetup }
  | {
      readonly type: "prepare";
      readonly plan: Plan;
      /** Others serve it already: what has gone missing since is no reason to refuse it. */
      readonly inForce: boolean;
      readonly conditions: StrategyConditions;
    }
  | { readonly type: "commit"; readonly generation: number }
  | { readonly type: "abort"; readonly generation: number }
  | {
      readonly type: "health";
      readonly pool: string;
      /** The backend's, in the shared counters. */
      readonly row: number;
      readonly from: Health;
      readonly to: Health;
    }
  /** No call may reach the strategy of this number any more. */
  | { readonly type: "seal"; readonly strategy: number }
  | { readonly type: "report"; readonly id: number }
  | { readonly type: "ask"; readonly id: number; readonly question: Question }
  /** Whether it answers at all: a report counts every connection, which takes long where there are many. */
  | { readonly type: "ping"; readonly id: number }
  /** The access log's file, by its name. */
  | { readonly type: "reopen" }
  | ({ readonly type: "stop" } & StopTimes);

export type FromWorker =
  | { readonly type: "started"; readonly version: string }
  /** Another pool of the plan is prepared, and more are to come. */
  | { readonly type: "preparing"; readonly generation: number }
  | { readonly type: "prepared"; readonly generation: number }
  | {
      /** Of a prepare, or of a commit for which nothing is prepared. */
      readonly type: "refused";
      readonly generation: number;
      readonly problems: readonly Problem[];
      /** True when the machine refused (a port), false when the plan is wrong. */
      readonly atRunTime: boolean;
    }
  | { readonly type: "committed"; readonly generation: number }
  /** Of a worker that stops: nobody can connect to it any more. */
  | { readonly type: "closed" }
  /** It ends now, and no strategy is to blame. */
  | { readonly type: "failed"; readonly reason: string }
  | { readonly type: "failing"; readonly row: number }
  | {
      readonly type: "trial";
      readonly row: number;
      /** Which one: the next may be under way when this is read. */
      readonly trial: number;
      readonly ok: boolean;
    }
  | { readonly type: "report"; readonly id: number; readonly report: WorkerReport }
  | { readonly type: "answer"; readonly id: number; readonly answer: Answer }
  | { readonly type: "pong"; readonly id: number }
  | { readonly type: "exports"; readonly worker: number; readonly report: ExportReport };

export interface WorkerReport {
  readonly pendingRequests: number;
  /** Open connections of clients; null where this cannot be told. */
  readonly clientConnections: number | null;
  readonly pools: Readonly<
    Record<string, { readonly faults: number; readonly quarantined: boolean }>
  >;
}

/**
 * The message of a worker, or null: strategy code runs in the same process and can send anything
 * over the same channel. `key`: the worker's, once it has been told.
 */
export function readFromWorker(message: unknown, key?: string): FromWorker | null {
  if (!isRecord(message) || typeof message["type"] !== "string") return null;
  if (message["key"] !== key) return null;
  const holds = Object.hasOwn(SHAPES, message["type"]) ? SHAPES[message["type"] as Type] : null;
  return holds?.(message) ? (message as unknown as FromWorker) : null;
}

type Type = FromWorker["type"];
type Fields = Readonly<Record<string, unknown>>;

const SHAPES: Readonly<Record<Type, (fields: Fields) => boolean>> = {
  started: ({ version }) => typeof version === "string",
  preparing: ({ generation }) => isCount(generation),
  prepared: ({ generation }) => isCount(generation),
  committed: ({ generation }) => isCount(generation),
  closed: () => true,
  failed: ({ reason }) => typeof reason === "string",
  refused: ({ generation, problems, atRunTime }) =>
    isCount(generation) &&
    typeof atRunTime === "boolean" &&
    Array.isArray(problems) &&
    problems.every(isProblem),
  failing: ({ row }) => isCount(row),
  trial: ({ row, trial, ok }) => isCount(row) && isCount(trial) && typeof ok === "boolean",
  report: ({ id, report }) => isCount(id) && isReport(report),
  answer: ({ id, answer }) => isCount(id) && isAnswer(answer),
  pong: ({ id }) => isCount(id),
  exports: ({ worker, report }) => isCount(worker) && isExportReport(report),
};

function isExportReport(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { signal, ok, reason, hint, lost } = value;
  return (
    (signal === "traces" || signal === "metrics") &&
    typeof ok === "boolean" &&
    [reason, hint].every((text) => text === null || typeof text === "string") &&
    isCount(lost)
  );
}

function isReport(value: unknown): boolean {
  if (!isRecord(value) || !isCount(value["pendingRequests"])) return false;
  const { clientConnections } = value;
  if (clientConnections !== null && !isCount(clientConnections)) return false;
  const { pools } = value;
  return (
    isRecord(pools) &&
    Object.values(pools).every(
      (pool) =>
        isRecord(pool) && isCount(pool["faults"]) && typeof pool["quarantined"] === "boolean",
    )
  );
}

export function isProblem(value: unknown): boolean {
  return (
    isRecord(value) && typeof value["path"] === "string" && typeof value["message"] === "string"
  );
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isRecord(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}
