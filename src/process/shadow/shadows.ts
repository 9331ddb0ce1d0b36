import type { BackendStatus, ShadowStatus } from "../../admin/facts.ts";
import type { PoolConfig } from "../../config/config.ts";
import type { Schedule } from "../../health/prober.ts";
import type { Logger } from "../../log.ts";
import type { Backend } from "../../plugin.ts";
import { openSharedMemory, type SharedMemory } from "../../pool/shared-memory.ts";
import type { ShadowFigures } from "../../strategy/shadow/figures.ts";
import type { ShadowBackendSpec } from "../../strategy/shadow/projection.ts";
import type { ShadowFacts } from "../../telemetry/metrics/shadow-metrics.ts";
import type { PlannedStrategy } from "../messages.ts";
import type { ProcessUsages } from "../process-usage.ts";
import { Watchdog, type WatchdogLimits } from "../watchdog.ts";
import type { ShadowSetup, ToShadow } from "./messages.ts";
import { Shadow } from "./shadow.ts";
import {
  createShadowMemory,
  SHADOW_SLOTS,
  ShadowMemory,
  type ShadowPlan,
} from "./shadow-memory.ts";
import type { SpawnShadow } from "./shadow-process.ts";

export interface ShadowsOptions {
  /** Of workers. */
  readonly columns: number;
  /** Of this program. */
  readonly version: string;
  readonly spawn: SpawnShadow;
  /** Puts the strategies' files where a process looks for them. May throw. */
  readonly beforeSpawn: () => void;
  readonly usages: ProcessUsages;
  readonly limits: () => WatchdogLimits;
  readonly now: () => number;
  readonly random: () => number;
  readonly schedule: Schedule;
  readonly log: Logger;
  /** The last figures of a process that is gone. */
  readonly onGone: (facts: ShadowFacts) => void;
}

/** A pool with its shadows as a plan has it. */
export interface ShadowedPool {
  readonly config: PoolConfig;
  readonly acting: PlannedStrategy;
  /** In the order of `config.shadow`. */
  readonly shadows: readonly PlannedStrategy[];
  readonly backends: readonly BackendStatus[];
}

/** A strategy that loops must not keep a processor busy, whatever workers are allowed. */
const WATCHDOG_MS = 1000;

/** What a shadow's figures compare: with another one of these they begin anew. */
interface Identity {
  readonly pool: string;
  readonly strategy: PlannedStrategy;
  readonly options: unknown;
  readonly acting: PlannedStrategy;
  readonly actingOptions: unknown;
}

interface Entry {
  readonly identity: Identity;
  readonly slot: number;
  index: number;
  backends: readonly ShadowBackendSpec[];
  readonly shadow: Shadow;
}

/** The shadows of all pools, each with a process of its own: one that loops or leaks costs no other. */
export class Shadows {
  readonly #options: ShadowsOptions;
  readonly #watchdog: Watchdog;
  #memory: { readonly shared: SharedMemory; readonly plan: ShadowPlan } | null = null;
  #words: ShadowMemory | null = null;
  #entries: readonly Entry[] = [];

  constructor(options: ShadowsOptions) {
    const { limits, usages, now, schedule } = options;
    this.#options = options;
    this.#watchdog = new Watchdog({
      workers: () => this.#entries.flatMap(({ shadow }) => shadow.watched ?? []),
      pulseOf: (slot) => this.#opened().pulse(slot),
      usages,
      limits: () => {
        const { watchdogMs, workerMemoryBytes } = limits();
        return { watchdogMs: watchdogMs ?? WATCHDOG_MS, workerMemoryBytes };
      },
      // Nobody waits for an answer of a shadow: none has to stay until another one is back.
      isWhole: () => true,
      now,
      schedule,
      onFull() {},
      onHanging: (worker, cause) => {
        this.#entries.find(({ slot }) => slot === worker.column)?.shadow.hanging(cause);
      },
    });
  }

  /** What workers have to know of it; null when none of these pools has a shadow. Throws RuntimeError when there is no room. */
  planFor(pools: readonly PoolConfig[]): ShadowPlan | null {
    if (pools.every(({ shadow }) => shadow.length === 0)) return null;
    if (this.#memory === null) {
      const { memory: shared, plan } = createShadowMemory(this.#options.columns);
      this.#memory = { shared, plan };
      this.#words = new ShadowMemory(openSharedMemory(plan.handle));
      this.#watchdog.start();
    }
    return this.#memory.plan;
  }

  /** These pools are in force now. Who is the same goes on with its figures. */
  update(pools: readonly ShadowedPool[]): void {
    const old = this.#entries;
    const before = new Set(old);
    const added: Entry[] = [];
    this.#entries = pools.flatMap((pool) =>
      pool.shadows.map((strategy, index) => {
        const identity = identityOf(pool, strategy, index);
        const backends = pool.backends.map(specOf);
        const known = [...before].find((each) => Bun.deepEquals(each.identity, identity));
        if (known === undefined) {
          const entry = this.#create(identity, index, backends, [...old, ...added]);
          added.push(entry);
          return entry;
        }
        before.delete(known);
        known.index = index;
        if (!Bun.deepEquals(known.backends, backends)) {
          known.backends = backends;
          known.shadow.tell({ type: "backends", backends });
        }
        return known;
      }),
    );
    for (const { shadow } of before) shadow.end();
    for (const { shadow } of added) shadow.start();
    this.#countListeners();
  }

  healthChanged(pool: string, id: string, to: Backend["health"]): void {
    this.#change(pool, id, { health: to });
    this.#tell(pool, { type: "health", id, to });
  }

  setDraining(pool: string, id: string, draining: boolean): void {
    this.#change(pool, id, { draining });
    this.#tell(pool, { type: "draining", id, draining });
  }

  weightsChanged(pool: string, backends: readonly Backend[]): void {
    const weights = new Map(backends.map(({ id, weight }) => [id, weight]));
    for (const entry of this.#entries) {
      if (entry.identity.pool !== pool) continue;
      entry.backends = entry.backends.map((each) => {
        const weight = weights.get(each.id) ?? each.weight;
        if (weight === each.weight) return each;
        entry.shadow.tell({ type: "weight", id: each.id, weight });
        return { ...each, weight };
      });
    }
  }

  workerEnded(column: number): void {
    for (const { shadow } of this.#entries) shadow.tell({ type: "workerEnded", column });
  }

  /** By pool, in the order of the config. */
  async status(): Promise<Readonly<Record<string, readonly ShadowStatus[]>>> {
    const all = await Promise.all(
      this.#entries.map(async (entry) => ({
        pool: entry.identity.pool,
        status: statusOf(entry, await entry.shadow.figures()),
      })),
    );
    const byPool: Record<string, ShadowStatus[]> = {};
    for (const { pool, status } of all) (byPool[pool] ??= []).push(status);
    return byPool;
  }

  facts(): Promise<ShadowFacts[]> {
    return Promise.all(
      this.#entries.map(async (entry) => factsOf(entry, await entry.shadow.figures())),
    );
  }

  /** At once: nothing of theirs is worth waiting for. */
  stop(): void {
    this.#watchdog.stop();
    for (const { shadow } of this.#entries) shadow.end();
    this.#entries = [];
    this.#memory?.shared.close();
  }

  #opened(): ShadowMemory {
    if (this.#words === null) throw new Error("no plan has shadows yet");
    return this.#words;
  }

  #create(
    identity: Identity,
    index: number,
    backends: readonly ShadowBackendSpec[],
    others: readonly Entry[],
  ): Entry {
    const { version, spawn, beforeSpawn, schedule, now, log, onGone } = this.#options;
    const slot = freeSlot(others);
    const shadow: Shadow = new Shadow({
      setup: () => this.#setupOf(entry),
      label: () => ({
        shadow: `${identity.pool}[${entry.index}]`,
        strategy: identity.strategy.description.name,
      }),
      backends: () => entry.backends,
      slot,
      pulse: this.#opened().pulse(slot),
      version,
      spawn: (events) => {
        beforeSpawn();
        return spawn(events);
      },
      schedule,
      now,
      log,
      onChange: () => this.#countListeners(),
      onFigures: (figures) => onGone(factsOf(entry, figures)),
    });
    const entry: Entry = { identity, slot, index, backends, shadow };
    return entry;
  }

  #setupOf({ identity, slot, index, backends }: Entry): ShadowSetup {
    if (this.#memory === null) throw new Error("no plan has shadows yet");
    const { pool, strategy, options } = identity;
    const { columns, random } = this.#options;
    const seed = Math.floor(random() * 2 ** 32);
    const { plan } = this.#memory;
    return { plan, slot, columns, pool, index, strategy, options, backends, seed };
  }

  #change(pool: string, id: string, change: Partial<ShadowBackendSpec>): void {
    for (const entry of this.#entries) {
      if (entry.identity.pool !== pool) continue;
      entry.backends = entry.backends.map((each) =>
        each.id === id ? { ...each, ...change } : each,
      );
    }
  }

  #tell(pool: string, message: Exclude<ToShadow, { type: "setup" | "report" }>): void {
    for (const { identity, shadow } of this.#entries) {
      if (identity.pool === pool) shadow.tell(message);
    }
  }

  /** Workers tell nothing when nobody is there. */
  #countListeners(): void {
    if (this.#words === null) return;
    this.#words.listeners = this.#entries.filter(({ shadow }) => shadow.state !== "stopped").length;
  }
}

function identityOf(
  { config, acting }: ShadowedPool,
  strategy: PlannedStrategy,
  index: number,
): Identity {
  return {
    pool: config.name,
    strategy: plainOf(strategy),
    options: config.shadow[index]?.options,
    acting: plainOf(acting),
    actingOptions: config.strategy.options,
  };
}

/** Without what else is known of it. */
function plainOf({ module, description }: PlannedStrategy): PlannedStrategy {
  return { module, description };
}

/** With the weight that the acting strategy sees. */
function specOf({ effectiveWeight: weight, ...status }: BackendStatus): ShadowBackendSpec {
  const { id, url, labels, health, draining } = status;
  return { id, url, weight, labels, health, draining };
}

function freeSlot(entries: readonly Entry[]): number {
  const taken = new Set(entries.map(({ slot }) => slot));
  for (let slot = 0; slot < SHADOW_SLOTS; slot++) if (!taken.has(slot)) return slot;
  throw new Error("more shadows than the config allows");
}

function statusOf({ identity, shadow }: Entry, figures: ShadowFigures | null): ShadowStatus {
  const { state, reason, restarts } = shadow;
  const pid = shadow.watched?.pid ?? null;
  return { ...identity.strategy.description, state, reason, restarts, pid, figures };
}

function factsOf({ identity, index, backends, shadow }: Entry, figures: ShadowFigures | null) {
  const { pool, strategy } = identity;
  const running = shadow.state === "running";
  return { pool, strategy: strategy.description.name, index, running, backends, figures };
}
