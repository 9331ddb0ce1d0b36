import type { StrategyConfig } from "../config/config.ts";
import { RuntimeError } from "../errors.ts";
import type { StrategyDescription } from "../strategy/module.ts";
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
  readonly #rolledBackFrom = new Map<string, StrategyDescription>();

  /** Their bundles must stay where workers find them. */
  get kept(): readonly EvaluatedStrategy[] {
    return [...this.#before.values()].map(({ evaluated }) => evaluated);
  }

  /** Null unless the pool runs an older version than its file may hold. */
  rolledBackFrom(pool: string): StrategyDescription | null {
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
    for (const [pool, { description }] of Object.entries(after.strategies)) {
      const old = versionIn(before, pool);
      if (old === null) continue;
      if (this.#rolledBackFrom.delete(pool)) {
        over.push(
          `pool ${pool}: the rollback to ${named(old.evaluated.description)} is over, ${named(description)} is loaded`,
        );
      }
      if (!isSame(old.evaluated.description, description)) this.#before.set(pool, old);
    }
    return over;
  }

  /**
   * What is running, with that pool's strategy as it was before: its code, and the options that it had.
   *
   * Throws RuntimeError when there is no such version.
   */
  planRollback(running: Provisioned, pool: string): Provisioned {
    const now = running.strategies[pool];
    // A reload that came before has taken the pool away.
    if (now === undefined) throw new RuntimeError(`there is no pool ${pool} any more`);
    const version = this.#before.get(pool);
    if (version === undefined) throw new RuntimeError(this.#explainNothing(pool, now.description));
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
    const from = running.strategies[pool]?.description;
    if (from !== undefined) this.#rolledBackFrom.set(pool, from);
    this.#before.delete(pool);
  }

  #explainNothing(pool: string, now: StrategyDescription): string {
    const from = this.rolledBackFrom(pool);
    if (from !== null) {
      return (
        `pool ${pool} was rolled back to ${named(now)} already, and the version before that is not kept; ` +
        `leastwise reload loads ${from.source === "built-in" ? from.name : from.source} again`
      );
    }
    return `pool ${pool} has had no other strategy than ${named(now)} since leastwise started: there is nothing to roll back to`;
  }
}

function versionIn({ config, strategies }: Provisioned, pool: string): Version | null {
  const evaluated = strategies[pool];
  const strategy = config.pools.find(({ name }) => name === pool)?.strategy;
  return evaluated === undefined || strategy === undefined ? null : { config: strategy, evaluated };
}

function isSame(one: StrategyDescription, two: StrategyDescription): boolean {
  return one.name === two.name && one.version === two.version && one.source === two.source;
}

function named({ name, version }: StrategyDescription): string {
  return `${name} ${version}`;
}
