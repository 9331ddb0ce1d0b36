import type { BackendStatus } from "../admin/server.ts";
import { type EjectionChange, PoolEjection } from "../balance/ejection.ts";
import type { PoolConfig } from "../config/config.ts";
import { createProbe } from "../health/probe.ts";
import { PoolProber, type ProbeReport } from "../health/prober.ts";
import type { Logger } from "../log.ts";
import { PoolBackend } from "../pool/backend.ts";
import { type Counters, EJECTION_ON } from "../pool/counters.ts";
import { Pool } from "../pool/pool.ts";
import type { FromWorker, ToWorker } from "./messages.ts";

export interface PoolSupervisorOptions {
  readonly pool: PoolConfig;
  /** In the order of the pool's backends. */
  readonly rows: readonly number[];
  readonly counters: Counters;
  readonly tellWorkers: (message: Extract<ToWorker, { type: "health" }>) => void;
  readonly now: () => number;
  readonly random: () => number;
  readonly log: Logger;
}

/** Probe-up ends an ejection early only where there are probes; the default of `health.rise`. */
const RISE_WITHOUT_PROBES = 2;

/** Watches one pool from the master: probes it, ejects and readmits its backends, and knows its state. */
export class PoolSupervisor {
  readonly #options: PoolSupervisorOptions;
  readonly #pool: Pool;
  readonly #prober: PoolProber | null;
  readonly #ejection: PoolEjection | null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #stopped = false;

  constructor(options: PoolSupervisorOptions) {
    const { pool, rows, counters, now, random } = options;
    this.#options = options;
    this.#pool = new Pool(pool, counters, rows);
    this.#prober =
      pool.health === null
        ? null
        : new PoolProber({
            config: pool.health,
            backends: pool.backends,
            rows,
            counters,
            now,
            random,
            probe: createProbe(pool.health),
            onResult: (report) => this.#probed(report),
          });
    this.#ejection =
      pool.ejection === null
        ? null
        : new PoolEjection({
            config: pool.ejection,
            counters,
            rows,
            rise: pool.health?.rise ?? RISE_WITHOUT_PROBES,
            now,
            random,
          });
  }

  get name(): string {
    return this.#pool.name;
  }

  start(): void {
    this.#prober?.start();
  }

  stop(): void {
    this.#stopped = true;
    this.#prober?.stop();
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /** A worker's report; rows of other pools are passed over. */
  receive(message: FromWorker): void {
    if (this.#ejection === null) return;
    if (message.type === "failing") this.#changed(this.#ejection.failing(message.row));
    if (message.type === "trial") this.#changed(this.#ejection.trialEnded(message.row, message.ok));
  }

  /** Whether some backend is neither probe-down nor draining. */
  hasBackend(): boolean {
    return this.#pool.backends.some(
      (backend) => backend.health !== "unhealthy" && !backend.draining,
    );
  }

  backends(): BackendStatus[] {
    const { counters } = this.#options;
    return this.#pool.backends.map((backend) => {
      const row = PoolBackend.rowOf(backend);
      return {
        id: backend.id,
        url: backend.url,
        weight: backend.weight,
        labels: backend.labels,
        health: backend.health,
        ejectedUntil: counters.ejection(row) === EJECTION_ON ? this.#ejectedUntil(row) : null,
        draining: backend.draining,
        inFlight: backend.inFlight,
        requests: counters.requests(row),
        failures: counters.failures(row),
        connections: { open: counters.openConnections(row), idle: counters.idleConnections(row) },
      };
    });
  }

  #ejectedUntil(row: number): string {
    const { counters, now } = this.#options;
    return new Date(Date.now() + counters.ejectedUntil(row) - now()).toISOString();
  }

  #probed({ row, good, reason, startedAtMs, from, to }: ProbeReport): void {
    const { log, tellWorkers } = this.#options;
    const backend = this.#backendOf(row);
    if (backend !== undefined && from !== to) {
      const fields = { pool: this.name, backend: backend.id, from, to, reason };
      if (to === "unhealthy") log.warn("backend is down", fields);
      else if (from === "unhealthy") log.info("backend is up", fields);
      else log.debug("backend is up", fields);
      tellWorkers({ type: "health", pool: this.name, backend: backend.id, from, to });
    }
    if (this.#ejection !== null) this.#changed(this.#ejection.probed(row, good, startedAtMs));
  }

  #changed(changes: readonly EjectionChange[]): void {
    const { log, now, counters } = this.#options;
    for (const { row, to, untilMs } of changes) {
      const fields = { pool: this.name, backend: this.#backendOf(row)?.id ?? String(row) };
      if (to === "ejected") {
        const seconds = Math.round((untilMs - now()) / 100) / 10;
        const failures = counters.consecutiveFailures(row);
        log.warn("backend ejected", { ...fields, seconds, failuresInARow: failures });
      } else if (to === "trial") log.info("backend gets a trial request", fields);
      else log.info("backend is back after its ejection", fields);
    }
    this.#schedule();
  }

  #schedule(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const dueMs = this.#ejection?.nextDeadlineMs() ?? null;
    if (dueMs === null || this.#stopped) return;
    // Rounded up: a timer that comes a moment early would find nothing due.
    const waitMs = Math.max(1, Math.ceil(dueMs - this.#options.now()));
    this.#timer = setTimeout(() => {
      if (this.#ejection !== null) this.#changed(this.#ejection.advance());
    }, waitMs);
  }

  #backendOf(row: number): PoolBackend | undefined {
    return this.#pool.backends.find((backend) => PoolBackend.rowOf(backend) === row);
  }
}
