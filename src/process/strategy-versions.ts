import type { StrategyConfig } from "../config/config.ts";
import { RuntimeError } from "../errors.ts";
import {
  isSameStrategy,
  isSameVersion,
  listChanged,
  nameVersion,
  type StrategyVersion,
} from "../strategy/strategy-version.ts";
import type { EvaluatedStrategy } from "./evaluation.ts";
import type { Provisioned } from "./provision.ts";

/** A pool's strategy as it was in force. */
interface Version {
  readonly config: StrategyConfig;
  readonly evaluated: EvaluatedStrategy;
}

/**
 * The version of each pool's strategy that was in force before the one that is, for as long as this
 * program runs. One each: what came before that is gone.
 */
export class StrategyVersions {
  readonly #before = new Map<string, Version>();
  /** Which version a pool was taken back from. */
  readonly #rolledBackFrom = new Map<string, StrategyVersion>();

  /** Their bundles must stay where workers find them. */
  get kept(): readonly EvaluatedStrategy[] {
    return [...this.#before.values()].map(({ evaluated }) => evaluated);
  }

  /** Null unless the pool runs an older version than its file may hold. */
  rolledBackFrom(pool: string): StrategyVersion | null {
    return this.#rolledBackFrom.get(pool) ?? null;
  }

  /** Everything was loaded anew, and is in force. Returns which rollbacks are over, in sentences. */
  reloaded(before: Provisioned, after: Provisioned): readonly string[] {
    const over: string[] = [];
    for (const pool of [...this.#before.keys(), ...this.#rolledBackFrom.keys()]) {
      if (after.strategies[pool] !== undefined) continue;
      this.#before.delete(pool);
      this.#rolledBackFrom.delete(pool);
    }
    for (const pool of Object.keys(after.strategies)) {
      const [was, is] = [versionIn(before, pool), versionIn(after, pool)];
      const old = inForce(before, pool);
      if (old === null || was === null || is === null) continue;
      if (this.#rolledBackFrom.delete(pool)) {
        over.push(
          isSameStrategy(was, is) && !isSameVersion(was, is)
            ? `pool ${pool}: the rollback to ${nameFormer(was, is)} is over, those of the config are in force`
            : `pool ${pool}: the rollback to ${nameVersion(was)} is over, ${nameVersion(is)} is loaded`,
        );
      }
      if (!isSameVersion(was, is)) this.#before.set(pool, old);
    }
    return over;
  }

  /**
   * What is running, with that pool's strategy as it was before: its code, and the options that it had.
   *
   * Throws RuntimeError when there is no such version.
   */
  planRollback(running: Provisioned, pool: string): Provisioned {
    const now = versionIn(running, pool);
    // A reload that came before has taken the pool away.
    if (now === null) throw new RuntimeError(`there is no pool ${pool} any more`);
    const version = this.#before.get(pool);
    if (version === undefined) throw new RuntimeError(this.#explainNothing(pool, now));
    const { config, strategies } = running;
    const pools = config.pools.map((each) =>
      each.name === pool ? { ...each, strategy: version.config } : each,
    );
    return {
      ...running,
      config: { ...config, pools },
      strategies: { ...strategies, [pool]: version.evaluated },
    };
  }

  /** That is in force. */
  rolledBack(running: Provisioned, pool: string): void {
    const from = versionIn(running, pool);
    if (from !== null) this.#rolledBackFrom.set(pool, from);
    this.#before.delete(pool);
  }

  #explainNothing(pool: string, now: StrategyVersion): string {
    const from = this.rolledBackFrom(pool);
    if (from !== null) {
      return (
        `pool ${pool} was rolled back to ${isSameStrategy(now, from) ? nameFormer(now, from) : nameVersion(now)} already, and the version before that is not kept; ` +
        `leastwise reload loads ${from.source === "built-in" ? from.name : from.source} again`
      );
    }
    return `pool ${pool} has had no other strategy than ${nameVersion(now)} since leastwise started: there is nothing to roll back to`;
  }
}

/** Null: there is no such pool. */
export function versionIn(provisioned: Provisioned, pool: string): StrategyVersion | null {
  const version = inForce(provisioned, pool);
  return version && { ...version.evaluated.description, options: version.config.options };
}

function inForce({ config, strategies }: Provisioned, pool: string): Version | null {
  const evaluated = strategies[pool];
  const strategy = config.pools.find(({ name }) => name === pool)?.strategy;
  return evaluated === undefined || strategy === undefined ? null : { config: strategy, evaluated };
}

function nameFormer(version: StrategyVersion, other: StrategyVersion): string {
  return `the former options (${listChanged(version, other)}) of ${nameVersion(version)}`;
}
