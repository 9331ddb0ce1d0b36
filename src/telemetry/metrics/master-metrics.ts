import type { PoolConfig } from "../../config/config.ts";
import type { Health } from "../../plugin.ts";
import { backendLabels, type NamedBackend } from "./backend-labels.ts";
import { type BackendTotals, Departed } from "./departed.ts";
import type { Instrument, LabelValues } from "./instrument.ts";
import {
  BACKEND_FAILURES,
  BACKEND_REQUESTS,
  BACKEND_STATUS,
  BACKEND_UP,
  CLIENT_ACTIVE,
  CLIENT_CONNECTIONS,
  CONFIG_LAST_SUCCESS,
  CONFIG_LAST_TIME,
  CONFIG_RELOADS,
  EJECTIONS,
  HEALTH_CHANGES,
  INSTRUMENTS,
  SERVER_CONNECTIONS,
  STRATEGY_QUARANTINED,
  WORKER_RESTARTS,
  WORKERS,
} from "./instruments.ts";
import { fillOf } from "./region.ts";
import { clearRegion, readRegion, type ReadSeries } from "./region-reader.ts";
import { addShadow, retireShadow, type ShadowFacts } from "./shadow-metrics.ts";
import type { Snapshot } from "./snapshot.ts";
import { subjectOf, subjectsOf } from "./subject.ts";
import { Totals } from "./totals.ts";

type Pools = readonly Pick<PoolConfig, "name" | "backends">[];

/** Of a worker's region; what is in use only grows while the worker lives. */
const NEARLY_FULL = 3 / 4;
/** Of the series in it. */
const MUCH = 1 / 4;

/** Why a backend was ejected: failures in a row, or the one request that tried it after an ejection. */
export type EjectionReason = "failures" | "trial";

/** A backend with what the shared counters know of it. */
export interface BackendFacts extends NamedBackend {
  readonly pool: string;
  readonly health: Health;
  readonly ejected: boolean;
  readonly draining: boolean;
  readonly inFlight: number;
  readonly requests: number;
  readonly failures: number;
  readonly connections: { readonly open: number; readonly idle: number };
}

/** What only the master knows, at the moment of a snapshot. */
export interface MasterFacts {
  readonly backends: readonly BackendFacts[];
  readonly strategies: readonly StrategyFacts[];
  readonly workers: { readonly serving: number; readonly restarts: number };
  /** Null where the platform does not tell. */
  readonly clientConnections: number | null;
  readonly shadows: readonly ShadowFacts[];
  readonly config: ConfigFacts;
}

export interface StrategyFacts {
  readonly pool: string;
  readonly strategy: string;
  /** Workers in which it is quarantined. */
  readonly quarantined: number;
}

export interface ConfigFacts {
  /** Since the start, which is none. */
  readonly reloads: number;
  readonly lastSucceeded: boolean;
  /** Unix time in milliseconds. */
  readonly lastSuccessMs: number;
}

export interface MasterMetricsOptions {
  /** One region per worker. */
  readonly regions: readonly Int32Array[];
  /** Unix time in milliseconds. */
  readonly wallClock: () => number;
}

/** The metrics of the whole process tree: what living workers have, what dead ones left, what the master counts itself. */
export class MasterMetrics {
  readonly #regions: readonly Int32Array[];
  readonly #wallClock: () => number;
  readonly #startMs: number;
  readonly #retired = new Totals(INSTRUMENTS);
  readonly #departed = new Departed();

  constructor({ regions, wallClock }: MasterMetricsOptions) {
    this.#regions = regions;
    this.#wallClock = wallClock;
    this.#startMs = wallClock();
  }

  /** Keeps what a dead worker counted, and empties its region for the next one. */
  workerEnded(worker: number): void {
    const region = this.#regions[worker];
    if (region === undefined) throw new RangeError(`no region of worker ${worker}`);
    this.#retired.retire(readAll(region));
    clearRegion(region);
  }

  /** A backend has given up its row of the shared counters, for ever or until it comes back. */
  rowEnded(pool: string, backend: NamedBackend, totals: BackendTotals): void {
    this.#departed.add(JSON.stringify(backendLabels(pool, backend)), totals);
  }

  /**
   * These are in force now. Of others that have been gone for an hour nothing is kept, unless a worker still
   * holds a part: a series may disappear and begin anew, but what is shown of it never becomes less.
   */
  poolsInForce(pools: Pools): void {
    const nowMs = this.#wallClock();
    this.#departed.update(subjectsOf(pools), nowMs);
    const over = this.#departed.longGone(nowMs);
    if (over.size === 0) return;
    for (const { instrument, text } of this.#regions.flatMap(readAll)) {
      const subject = subjectOf(instrument, text);
      if (subject !== null) over.delete(subject);
    }
    this.#retired.remove((instrument, text) => over.has(subjectOf(instrument, text) ?? ""));
    for (const subject of over) this.#departed.forget(subject);
  }

  /** Little room is left to the worker, and much of what it holds is about others than these: a new one has it. */
  isOutgrown(worker: number, pools: Pools): boolean {
    const region = this.#regions[worker];
    if (region === undefined || fillOf(region) < NEARLY_FULL) return false;
    const inForce = subjectsOf(pools);
    const all = readAll(region);
    const gone = all.filter(({ instrument, text }) => {
      const subject = subjectOf(instrument, text);
      return subject !== null && !inForce.has(subject);
    });
    return gone.length >= all.length * MUCH;
  }

  /** Keeps what a shadow has counted; nothing is under way there any more. */
  shadowGone(shadow: ShadowFacts): void {
    retireShadow(this.#retired, shadow);
  }

  ejected(pool: string, backend: NamedBackend, reason: EjectionReason): void {
    this.#count(EJECTIONS, [reason, ...backendLabels(pool, backend)]);
  }

  healthChanged(pool: string, backend: NamedBackend, to: Health): void {
    this.#count(HEALTH_CHANGES, [to, ...backendLabels(pool, backend)]);
  }

  snapshot(facts: MasterFacts): Snapshot {
    const totals = new Totals(INSTRUMENTS);
    totals.addAll(this.#retired);
    for (const region of this.#regions) totals.add(readAll(region));
    for (const backend of facts.backends) {
      addBackend(totals, backend);
      const labels = backendLabels(backend.pool, backend);
      const before = this.#departed.totals(JSON.stringify(labels));
      totals.addNumber(BACKEND_REQUESTS, labels, before.requests);
      totals.addNumber(BACKEND_FAILURES, labels, before.failures);
    }
    for (const { pool, strategy, quarantined } of facts.strategies) {
      totals.addNumber(STRATEGY_QUARANTINED, [pool, strategy], quarantined);
    }
    const { workers, clientConnections, config } = facts;
    for (const shadow of facts.shadows) addShadow(totals, shadow);
    if (clientConnections !== null) totals.addNumber(SERVER_CONNECTIONS, [], clientConnections);
    totals.addNumber(WORKERS, [], workers.serving);
    totals.addNumber(WORKER_RESTARTS, [], workers.restarts);
    totals.addNumber(CONFIG_RELOADS, [], config.reloads);
    totals.addNumber(CONFIG_LAST_SUCCESS, [], Number(config.lastSucceeded));
    totals.addNumber(CONFIG_LAST_TIME, [], config.lastSuccessMs / 1000);
    return { startMs: this.#startMs, timeMs: this.#wallClock(), metrics: totals.metrics() };
  }

  #count(instrument: Instrument, labels: LabelValues): void {
    this.#retired.addNumber(instrument, labels, 1);
  }
}

function readAll(region: Int32Array): ReadSeries[] {
  return readRegion(region, INSTRUMENTS);
}

const REASONS = ["failures", "trial"] as const satisfies readonly EjectionReason[];
const STATES = ["available", "down", "ejected", "draining"] as const;

function addBackend(totals: Totals, backend: BackendFacts): void {
  const labels = backendLabels(backend.pool, backend);
  const { inFlight, requests, failures, connections, health } = backend;
  totals.addNumber(CLIENT_ACTIVE, labels, inFlight);
  totals.addNumber(CLIENT_CONNECTIONS, ["idle", ...labels], connections.idle);
  totals.addNumber(CLIENT_CONNECTIONS, ["active", ...labels], connections.open - connections.idle);
  totals.addNumber(BACKEND_UP, labels, Number(health !== "unhealthy"));
  totals.addNumber(BACKEND_REQUESTS, labels, requests);
  totals.addNumber(BACKEND_FAILURES, labels, failures);
  // From the start, so that the first ejection is an increase.
  for (const reason of REASONS) totals.addNumber(EJECTIONS, [reason, ...labels], 0);
  const state = stateOf(backend);
  for (const each of STATES) {
    totals.addNumber(BACKEND_STATUS, [each, ...labels], Number(each === state));
  }
}

/** One at a time: who is draining stays so whatever else happens, who is down is not ejected as well. */
function stateOf({ draining, health, ejected }: BackendFacts): (typeof STATES)[number] {
  if (draining) return "draining";
  if (health === "unhealthy") return "down";
  return ejected ? "ejected" : "available";
}
