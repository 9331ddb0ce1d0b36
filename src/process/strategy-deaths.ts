import type { Problem } from "../errors.ts";
import type { StrategyDescription } from "../strategy/module.ts";
import type { Plan, StrategyConditions } from "./messages.ts";

export interface NumberedStrategy {
  readonly pool: string;
  readonly strategy: string;
  readonly version: string;
}

/** So many workers that ended in a strategy's code … */
const DEATHS = 2;
/** … within this time are taken for no coincidence. */
const WITHIN_MS = 10 * 60 * 1000;
/** Versions that are remembered beside those of the plans in use: somebody edits for months. */
const MOST_VERSIONS = 1000;

interface Entry extends NumberedStrategy {
  /** When workers ended in its code, monotonic milliseconds, oldest first. */
  readonly deathsMs: number[];
  sealed: boolean;
}

/**
 * Which workers ended in which strategy's code. A strategy is known by its pool, name and version: a
 * new version is a new strategy, and whoever loads it has lifted the quarantine.
 */
export class StrategyDeaths {
  readonly #now: () => number;
  /** By number, those that were in use last at the end. */
  readonly #entries = new Map<number, Entry>();
  readonly #numbers = new Map<string, number>();
  #next = 0;

  /** `now` is monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** For the workers that prepare this plan. */
  conditionsOf({ strategies }: Pick<Plan, "strategies">): StrategyConditions {
    const conditions = Object.entries(strategies).map(([pool, { description }]) => {
      const number = this.#numberOf(pool, description);
      return [pool, { number, sealed: this.#entries.get(number)?.sealed ?? false }] as const;
    });
    this.#forget(MOST_VERSIONS + conditions.length);
    return Object.fromEntries(conditions);
  }

  /** Strategies of a plan that are sealed, and not because they have ended workers while they were in force. */
  problemsOf({ strategies }: Plan, inForce: Plan["strategies"]): Problem[] {
    return Object.entries(strategies).flatMap(([pool, { description }]) => {
      const number = this.#numberOf(pool, description);
      const before = inForce[pool]?.description;
      if (before !== undefined && this.#numberOf(pool, before) === number) return [];
      if (!this.#entries.get(number)?.sealed) return [];
      const { source, version } = description;
      const message = `version ${version} of ${source} has ended two workers, and is quarantined: change it before it is loaded again`;
      return [{ path: `pools.${pool}.strategy`, message }];
    });
  }

  /** Null: there is none of that number. */
  find(number: number): NumberedStrategy | null {
    const entry = this.#entries.get(number);
    if (entry === undefined) return null;
    const { pool, strategy, version } = entry;
    return { pool, strategy, version };
  }

  /** A worker ended in it. Returns whether it is sealed from now on, and was not before. */
  count(number: number): boolean {
    const entry = this.#entries.get(number);
    if (entry === undefined || entry.sealed) return false;
    const now = this.#now();
    entry.deathsMs.push(now);
    if (entry.deathsMs.length > DEATHS) entry.deathsMs.shift();
    const [oldest = now] = entry.deathsMs;
    entry.sealed = entry.deathsMs.length === DEATHS && now - oldest <= WITHIN_MS;
    return entry.sealed;
  }

  #numberOf(pool: string, { name: strategy, version }: StrategyDescription): number {
    const key = keyOf({ pool, strategy, version });
    const number = this.#numbers.get(key) ?? this.#next++;
    const entry = this.#entries.get(number) ?? {
      pool,
      strategy,
      version,
      deathsMs: [],
      sealed: false,
    };
    this.#numbers.set(key, number);
    this.#entries.delete(number);
    this.#entries.set(number, entry);
    return number;
  }

  /** All but so many, those first that were in use longest ago. */
  #forget(most: number): void {
    for (const [number, entry] of this.#entries) {
      if (this.#entries.size <= most) return;
      this.#entries.delete(number);
      this.#numbers.delete(keyOf(entry));
    }
  }
}

function keyOf({ pool, strategy, version }: NumberedStrategy): string {
  return JSON.stringify([pool, strategy, version]);
}
