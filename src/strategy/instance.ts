import { ConfigError, type Problem } from "../errors.ts";
import type { Logger } from "../log.ts";
import type {
  Backend,
  Strategy,
  StrategyEnv,
  StrategyLogger,
  StrategyPlugin,
  StrategySpan,
} from "../plugin.ts";
import { describeThrown, describeValue, isThenable } from "../config/describe.ts";
import { didYouMean, suggest } from "../config/suggest.ts";
import { type CallMark, STRATEGY_METHODS } from "../pool/worker-pulse.ts";
import { ignoreRejection } from "./fault.ts";
import { StrategyCounters } from "./strategy-counters.ts";
import type { StrategyMetrics } from "./strategy-metrics.ts";
import type { Warnings } from "./warnings.ts";

export interface InstanceOptions {
  readonly plugin: StrategyPlugin<unknown>;
  /** As the config gives them. */
  readonly options: unknown;
  readonly pool: string;
  now(): number;
  random(): number;
  readonly log: Logger;
  readonly span: StrategySpan;
  readonly metrics: StrategyMetrics;
  readonly warnings: Warnings;
  readonly mark: CallMark;
  /** What the instance before this one left, if the names are equal. */
  readonly previous: unknown;
}

/** One strategy instance for one pool. Throws ConfigError when the plugin refuses or makes no strategy. */
export function createInstance(options: InstanceOptions): Strategy {
  const parsed = parseOptions(options);
  const path = `pools.${options.pool}.strategy`;
  let strategy: unknown;
  const before = options.mark.enter("create");
  try {
    strategy = options.plugin.create(createEnv(options, parsed));
  } catch (thrown) {
    throw refusal(path, `create threw: ${describeThrown(thrown)}`, thrown);
  } finally {
    options.mark.leave(before);
  }
  ignoreRejection(strategy);
  if (typeof strategy !== "object" || strategy === null || isThenable(strategy)) {
    throw refusal(
      path,
      `create returned ${describeValue(strategy)}, but it must return a strategy object`,
    );
  }
  const problems = methodProblems(path, strategy);
  if (problems.length > 0) throw new ConfigError(problems);
  return strategy;
}

function parseOptions({ plugin, options, pool, mark }: InstanceOptions): unknown {
  const path = `pools.${pool}.strategy.options`;
  if (plugin.parseOptions === undefined) {
    if (options === undefined) return undefined;
    throw refusal(path, `${plugin.name} takes no options, found ${describeValue(options)}`);
  }
  let parsed: unknown;
  const before = mark.enter("parseOptions");
  try {
    parsed = plugin.parseOptions(options);
  } catch (thrown) {
    throw refusal(path, `${plugin.name} rejects its options: ${describeThrown(thrown)}`, thrown);
  } finally {
    mark.leave(before);
  }
  ignoreRejection(parsed);
  if (isThenable(parsed)) {
    throw refusal(path, "parseOptions returned a Promise, but it must return the options at once");
  }
  return parsed;
}

function methodProblems(path: string, strategy: Strategy): Problem[] {
  const problems: Problem[] = [];
  for (const method of STRATEGY_METHODS) {
    const value: unknown = strategy[method];
    if (value === undefined || typeof value === "function") continue;
    problems.push({
      path,
      message: `${method} is ${describeValue(value)}, but it must be a function`,
    });
  }
  const names = methodNames(strategy);
  const unknown = names.filter(({ name, own }) => {
    if (name.startsWith("_") || (STRATEGY_METHODS as readonly string[]).includes(name))
      return false;
    // A class has methods for its own use, and nobody else's names to clash with.
    return own || suggest(name, STRATEGY_METHODS) !== null;
  });
  let lacking: string | null = null;
  if (strategy.score === undefined && strategy.pick === undefined) {
    const found = names.map(({ name }) => name);
    lacking = unknown.find(({ name }) => suggest(name, ["score", "pick"]) !== null)?.name ?? null;
    const hint = lacking === null ? "" : didYouMean(lacking, ["score", "pick"]);
    const message = `create returned a strategy with neither score nor pick, found ${found.join(", ") || "nothing"}${hint}`;
    problems.push({ path, message });
  }
  for (const { name } of unknown) {
    if (name === lacking) continue;
    const allowed = `${STRATEGY_METHODS.join(", ")}, or a name that starts with _`;
    const message = `${name} is no method of a strategy, allowed ${allowed}${didYouMean(name, STRATEGY_METHODS)}`;
    problems.push({ path, message });
  }
  return problems;
}

interface MethodName {
  readonly name: string;
  /** Of the object itself, not of its class. */
  readonly own: boolean;
}

/** All functions of a strategy, its class's included. Getters are left alone. */
function methodNames(strategy: object): MethodName[] {
  const names = new Map<string, MethodName>();
  let from: object | null = strategy;
  while (from !== null && from !== Object.prototype) {
    for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(from))) {
      if (name === "constructor" || typeof property.value !== "function") continue;
      if (!names.has(name)) names.set(name, { name, own: from === strategy });
    }
    from = Object.getPrototypeOf(from) as object | null;
  }
  return [...names.values()];
}

function createEnv(options: InstanceOptions, parsed: unknown): StrategyEnv<unknown> {
  const { now, random, span, metrics, warnings, pool } = options;
  const counters = new StrategyCounters({ metrics, pool, strategy: options.plugin.name, warnings });
  return Object.freeze({
    pool,
    options: parsed,
    log: createLogger(options),
    span: Object.freeze({
      setAttribute: (...note: Parameters<StrategySpan["setAttribute"]>) =>
        span.setAttribute(...note),
      addEvent: (...note: Parameters<StrategySpan["addEvent"]>) => span.addEvent(...note),
    }),
    counter: (name: string) => counters.counter(name),
    now: () => now(),
    random: () => random(),
    perBackend,
    previous: options.previous,
  });
}

/**
 * Kept by the backend object, which lives as long as its place in the pool, plus the time that its
 * last attempts take: those still find their state.
 */
function perBackend<S>(init: (backend: Backend) => S): (backend: Backend) => S {
  const states = new WeakMap<Backend, { readonly state: S }>();
  return (backend) => {
    let entry = states.get(backend);
    if (entry === undefined) {
      entry = { state: init(backend) };
      states.set(backend, entry);
    }
    return entry.state;
  };
}

function createLogger({ log, pool, plugin }: InstanceOptions): StrategyLogger {
  const fields = { pool, strategy: plugin.name };
  return Object.freeze({
    info: (message: string) => log.info(String(message), fields),
    warn: (message: string) => log.warn(String(message), fields),
    error: (message: string) => log.error(String(message), fields),
  });
}

function refusal(path: string, message: string, cause?: unknown): ConfigError {
  return new ConfigError([{ path, message }], { cause });
}
