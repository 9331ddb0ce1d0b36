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
  readonly #entries: Entry[] = [];
  readonly #numbers = new Map<string, number>();

  /** `now` is monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** For the workers that prepare this plan. */
  conditionsOf({ strategies }: Pick<Plan, "strategies">): StrategyConditions {
    return Object.fromEntries(
      Object.entries(strategies).map(([pool, { description }]) => {
        const number = this.#numberOf(pool, description);
        return [pool, { number, sealed: this.#entries[number]?.sealed ?? false }];
      }),
    );
  }

  /** Strategies of a plan that are sealed, and not because they have ended workers while they were in force. */
  problemsOf({ strategies }: Plan, inForce: Plan["strategies"]): Problem[] {
    return Object.entries(strategies).flatMap(([pool, { description }]) => {
      const number = this.#numberOf(pool, description);
      const before = inForce[pool]?.description;
      if (before !== undefined && this.#numberOf(pool, before) === number) return [];
      if (!this.#entries[number]?.sealed) return [];
      const { source, version } = description;
      const message = `version ${version} of ${source} has ended two workers, and is quarantined: change it before it is loaded again`;
      return [{ path: `pools.${pool}.strategy`, message }];
    });
  }

  /** Null: there is none of that number. */
  find(number: number): NumberedStrategy | null {
    const entry = this.#entries[number];
    if (entry === undefined) return null;
    const { pool, strategy, version } = entry;
    return { pool, strategy, version };
  }

  /** A worker ended in it. Returns whether it is sealed from now on, and was not before. */
  count(number: number): boolean {
    const entry = this.#entries[number];
    if (entry === undefined || entry.sealed) return false;
    const now = this.#now();
    entry.deathsMs.push(now);
    if (entry.deathsMs.length > DEATHS) entry.deathsMs.shift();
    const [oldest = now] = entry.deathsMs;
    entry.sealed = entry.deathsMs.length === DEATHS && now - oldest <= WITHIN_MS;
    return entry.sealed;
  }

  #numberOf(pool: string, { name: strategy, version }: StrategyDescription): number {
    const key = JSON.stringify([pool, strategy, version]);
    let number = this.#numbers.get(key);
    if (number === undefined) {
      const entry = { pool, strategy, version, deathsMs: [], sealed: false };
      number = this.#entries.push(entry) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }
}
