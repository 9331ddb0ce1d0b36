import type { BackendFacts } from "../admin/explanation.ts";
import type { BackendStatus } from "../admin/facts.ts";
import { type EjectionChange, PoolEjection } from "../balance/ejection.ts";
import { slowDown } from "../balance/slow-start.ts";
import type { PoolConfig } from "../config/config.ts";
import { createProbe, type Probe } from "../health/probe.ts";
import { PoolProber, type ProbeReport, type Schedule } from "../health/prober.ts";
import type { Logger } from "../log.ts";
import type { Backend, Health } from "../plugin.ts";
import { configOf, hasSlowStart, type PoolBackend, rowOf } from "../pool/backend.ts";
import { type Counters, EJECTION_NONE, EJECTION_ON, PROBE_UNKNOWN } from "../pool/counters.ts";
import { Pool } from "../pool/pool.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import type { EjectionReason } from "../telemetry/metrics/master-metrics.ts";
import { SlowStartWatch } from "./slow-start-watch.ts";
import { TransitionLog } from "./transition-log.ts";

/** Who counts what becomes of backends. */
export interface SupervisorEvents {
  ejected(pool: string, backend: Backend, reason: EjectionReason): void;
  healthChanged(pool: string, backend: Backend, to: Health): void;
  /** Slow starts went on. */
  weightsChanged?(pool: string, backends: readonly Backend[]): void;
}

export interface PoolSupervisorOptions {
  readonly pool: PoolConfig;
  /** In the order of the pool's backends. */
  readonly rows: readonly number[];
  readonly counters: Counters;
  readonly tellWorkers: (message: Extract<ToWorker, { type: "health" }>) => void;
  readonly now: () => number;
  readonly random: () => number;
  readonly log: Logger;
  /** Default: probes over the network. */
  readonly probe?: Probe;
  readonly schedule: Schedule;
  readonly events: SupervisorEvents;
}

/** Watches one pool from the master: probes it, ejects and readmits its backends, and knows its state. */
export class PoolSupervisor {
  readonly #options: PoolSupervisorOptions;
  readonly #log: TransitionLog;
  readonly #slowStart: SlowStartWatch;
  #pool: Pool;
  #prober: PoolProber | null;
  #ejection: PoolEjection | null;
  #cancelTimer = (): void => {};
  #stopped = false;
  #started = false;

  constructor(options: PoolSupervisorOptions) {
    const { pool, rows, counters, now, schedule, log } = options;
    this.#options = options;
    this.#log = new TransitionLog(log, now);
    this.#pool = new Pool(pool, counters, rows);
    this.#prober = this.#createProber(pool, rows);
    this.#ejection = this.#createEjection(pool, rows, null);
    const onAdvance = (): void => options.events.weightsChanged?.(this.name, this.#pool.backends);
    this.#slowStart = new SlowStartWatch({ counters, now, schedule, onAdvance });
    this.#slowStart.update({ config: pool.slowStart, rows, joined: new Set() });
  }

  get name(): string {
    return this.#pool.name;
  }

  get config(): PoolConfig {
    return this.#pool.config;
  }

  /** What an earlier supervisor ejected comes back at its time here. */
  start(): void {
    this.#started = true;
    this.#prober?.start();
    this.#schedule();
  }

  /** A reload is about to give the pool these backends. */
  expect({ slowStart }: PoolConfig, rows: readonly number[]): void {
    if (slowStart !== null) slowDown(slowStart, this.#options.counters, this.#joinedOf(rows));
  }

  /**
   * A reload gave the pool another config, which is in force. What is known of backends that stay
   * holds on, as far as somebody still watches over it.
   */
  update(pool: PoolConfig, rows: readonly number[]): void {
    const before = this.#pool.config;
    const joined = this.#joinedOf(rows);
    this.#pool = new Pool(pool, this.#options.counters, rows);
    // A reload that was under way when the stop came.
    if (this.#stopped) return;
    if (this.#started && Bun.deepEquals(before.health, pool.health)) {
      this.#prober?.update(pool.backends, rows);
    } else {
      this.#prober?.stop();
      this.#prober = this.#createProber(pool, rows);
      if (this.#started) this.#prober?.start();
      if (this.#prober === null) this.#forgetProbes();
    }
    this.#ejection = this.#createEjection(pool, rows, this.#ejection);
    if (this.#ejection === null) this.#forgetEjections();
    this.#slowStart.update({ config: pool.slowStart, rows, joined });
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    this.#prober?.stop();
    this.#slowStart.stop();
    this.#cancelTimer();
  }

  /** A worker's report; rows of other pools are passed over. */
  receive(message: FromWorker): void {
    if (this.#ejection === null) return;
    if (message.type === "failing") {
      this.#changed(this.#ejection.failing(message.row), "failures");
    }
    if (message.type === "trial") {
      this.#changed(this.#ejection.trialEnded(message.row, message.trial, message.ok), "trial");
    }
  }

  /** What the backend has may finish, it gets nothing new; until it is taken back. Null: there is none. */
  setDraining(id: string, draining: boolean): BackendStatus | null {
    const { counters, log } = this.#options;
    const backend = this.#pool.backends.find((each) => each.id === id);
    if (backend === undefined) return null;
    if (backend.draining !== draining) {
      counters.setDraining(rowOf(backend), draining);
      this.#slowStart.changed();
      log.info(draining ? "backend is draining" : "backend is taken back", {
        pool: this.name,
        backend: id,
        inFlight: backend.inFlight,
      });
    }
    return this.#statusOf(backend);
  }

  /** Whether some backend is neither probe-down nor draining. */
  hasBackend(): boolean {
    return this.#pool.backends.some(
      (backend) => backend.health !== "unhealthy" && !backend.draining,
    );
  }

  /** For a copy of the pool, as things are now. */
  facts(): BackendFacts[] {
    const { counters } = this.#options;
    return this.#pool.backends.map((backend) => {
      const row = rowOf(backend);
      return {
        config: configOf(backend),
        probe: counters.probe(row),
        ejection: counters.ejection(row),
        draining: backend.draining,
        inFlight: backend.inFlight,
        weightPart: hasSlowStart(backend) ? counters.weightPart(row) : 1,
      };
    });
  }

  backends(): BackendStatus[] {
    return this.#pool.backends.map((backend) => this.#statusOf(backend));
  }

  #statusOf(backend: PoolBackend): BackendStatus {
    const { counters } = this.#options;
    const row = rowOf(backend);
    return {
      id: backend.id,
      url: backend.url,
      weight: configOf(backend).weight,
      effectiveWeight: backend.weight,
      backup: configOf(backend).backup,
      labels: backend.labels,
      health: backend.health,
      ejectedUntil: counters.ejection(row) === EJECTION_ON ? this.#ejectedUntil(row) : null,
      draining: backend.draining,
      inFlight: backend.inFlight,
      requests: counters.requests(row),
      failures: counters.failures(row),
      connections: { open: counters.openConnections(row), idle: counters.idleConnections(row) },
    };
  }

  #createProber(pool: PoolConfig, rows: readonly number[]): PoolProber | null {
    const { counters, now, random, schedule, probe } = this.#options;
    const { health: config, backends } = pool;
    if (config === null) return null;
    return new PoolProber({
      config,
      backends,
      rows,
      counters,
      now,
      random,
      probe: probe ?? createProbe(config),
      schedule,
      onResult: (report) => this.#probed(report),
    });
  }

  #createEjection(
    { health, ejection: config }: PoolConfig,
    rows: readonly number[],
    before: PoolEjection | null,
  ): PoolEjection | null {
    const { counters, now, random } = this.#options;
    if (config === null) return null;
    const rise = health === null || health.path === null ? null : health.rise;
    return new PoolEjection({ config, counters, rows, rise, now, random }, before);
  }

  /** Nobody probes any more: who is down would be so for ever. */
  #forgetProbes(): void {
    const { counters, tellWorkers, events } = this.#options;
    for (const backend of this.#pool.backends) {
      const from = backend.health;
      if (from === "unknown") continue;
      const row = rowOf(backend);
      counters.setProbe(row, PROBE_UNKNOWN);
      tellWorkers({ type: "health", pool: this.name, row, from, to: "unknown" });
      events.healthChanged(this.name, backend, "unknown");
    }
  }

  /** The same for who is ejected. */
  #forgetEjections(): void {
    const { counters } = this.#options;
    for (const backend of this.#pool.backends)
      counters.setEjection(rowOf(backend), EJECTION_NONE, 0);
  }

  #ejectedUntil(row: number): string {
    const { counters, now } = this.#options;
    return new Date(Date.now() + counters.ejectedUntil(row) - now()).toISOString();
  }

  #probed({ row, good, reason, startedAtMs, from, to }: ProbeReport): void {
    const { log, tellWorkers } = this.#options;
    if (from !== to) {
      this.#slowStart.changed();
      const backend = this.#idOf(row);
      const fields = { pool: this.name, from, to, reason };
      if (to === "unhealthy") this.#log.write("warn", "backend is down", backend, fields);
      else if (from === "unhealthy") this.#log.write("info", "backend is up", backend, fields);
      else log.debug("backend is up", { ...fields, backend });
      tellWorkers({ type: "health", pool: this.name, row, from, to });
      const changed = this.#backendIn(row);
      if (changed !== null) this.#options.events.healthChanged(this.name, changed, to);
    }
    if (this.#ejection !== null) this.#changed(this.#ejection.probed(row, good, startedAtMs));
  }

  /** `reason`: of the ejections among them. */
  #changed(changes: readonly EjectionChange[], reason: EjectionReason | null = null): void {
    const { now, counters, events } = this.#options;
    if (changes.length > 0) this.#slowStart.changed();
    for (const { row, to, untilMs } of changes) {
      const backend = this.#idOf(row);
      const fields = { pool: this.name };
      if (to === "ejected") {
        const seconds = Math.round((untilMs - now()) / 100) / 10;
        const failures = counters.consecutiveFailures(row);
        const more = { ...fields, seconds, failuresInARow: failures };
        this.#log.write("warn", "backend ejected", backend, more);
        const ejected = this.#backendIn(row);
        if (ejected !== null && reason !== null) events.ejected(this.name, ejected, reason);
      } else if (to === "trial") {
        this.#log.write("info", "backend gets a trial request", backend, fields);
      } else this.#log.write("info", "backend is back after its ejection", backend, fields);
    }
    this.#schedule();
  }

  #schedule(): void {
    this.#cancelTimer();
    const dueMs = this.#ejection?.nextDeadlineMs() ?? null;
    if (dueMs === null || this.#stopped) return;
    // Rounded up: a timer that comes a moment early would find nothing due.
    const waitMs = Math.max(1, Math.ceil(dueMs - this.#options.now()));
    this.#cancelTimer = this.#options.schedule(waitMs, () => {
      if (this.#ejection !== null) this.#changed(this.#ejection.advance());
    });
  }

  #joinedOf(rows: readonly number[]): ReadonlySet<number> {
    const known = new Set(this.#pool.backends.map(rowOf));
    return new Set(rows.filter((row) => !known.has(row)));
  }

  #idOf(row: number): string {
    return this.#backendIn(row)?.id ?? String(row);
  }

  #backendIn(row: number): PoolBackend | null {
    return this.#pool.backends.find((backend) => rowOf(backend) === row) ?? null;
  }
}
