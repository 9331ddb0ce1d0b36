import type { BackendStatus } from "../admin/facts.ts";
import type { PoolConfig } from "../config/config.ts";
import type { FromWorker } from "./messages.ts";
import { PoolSupervisor, type PoolSupervisorOptions } from "./pool-supervisor.ts";

type Rows = Readonly<Record<string, readonly number[]>>;

/** One supervisor per pool; who stays through a reload keeps what it knows. */
export class PoolSupervisors {
  readonly #common: Omit<PoolSupervisorOptions, "pool" | "rows">;
  #all: readonly PoolSupervisor[] = [];
  #started = false;

  constructor(common: Omit<PoolSupervisorOptions, "pool" | "rows">) {
    this.#common = common;
  }

  /** In the order of the config. */
  get all(): readonly PoolSupervisor[] {
    return this.#all;
  }

  /** These pools are about to be in force. */
  expect(pools: readonly PoolConfig[], rows: Rows): void {
    for (const supervisor of this.#all) {
      const pool = pools.find(({ name }) => name === supervisor.name);
      if (pool !== undefined) supervisor.expect(pool, rows[pool.name] ?? []);
    }
  }

  /** These pools are in force now. `rows`: by pool, in the order of its backends. */
  update(pools: readonly PoolConfig[], rows: Rows): void {
    const before = new Map(this.#all.map((supervisor) => [supervisor.name, supervisor]));
    const added: PoolSupervisor[] = [];
    this.#all = pools.map((pool) => {
      const poolRows = rows[pool.name] ?? [];
      const known = before.get(pool.name);
      if (known !== undefined) {
        before.delete(pool.name);
        known.update(pool, poolRows);
        return known;
      }
      const supervisor = new PoolSupervisor({ ...this.#common, pool, rows: poolRows });
      added.push(supervisor);
      return supervisor;
    });
    for (const gone of before.values()) gone.stop();
    if (this.#started) for (const supervisor of added) supervisor.start();
  }

  start(): void {
    this.#started = true;
    for (const supervisor of this.#all) supervisor.start();
  }

  stop(): void {
    this.#started = false;
    for (const supervisor of this.#all) supervisor.stop();
  }

  receive(message: FromWorker): void {
    for (const supervisor of this.#all) supervisor.receive(message);
  }

  /** Whether in some pool some backend is neither probe-down nor draining. */
  hasBackend(): boolean {
    return this.#all.some((supervisor) => supervisor.hasBackend());
  }

  /** Null when there is no such pool or backend. */
  setDraining(pool: string, backend: string, draining: boolean): BackendStatus | null {
    const supervisor = this.#all.find(({ name }) => name === pool);
    return supervisor?.setDraining(backend, draining) ?? null;
  }
}
