import { resolve as resolvePath } from "node:path";
import { ConfigError, type Problem } from "../errors.ts";
import { fillAffinity } from "./affinity-schema.ts";
import type {
  AccessLogConfig,
  BackendConfig,
  Config,
  ListenConfig,
  PoolConfig,
  RouteConfig,
  StrategyConfig,
} from "./config.ts";
import { fillHeaderRules } from "./header-rules.ts";
import { describeIssues, formatPath } from "./problem.ts";
import {
  findReferenceProblems,
  findStrategyProblem,
  readShadows,
  readStrategies,
} from "./references.ts";
import type { ParsedBackend, PoolOutput } from "./pool-schema.ts";
import { type ConfigOutput, configSchema } from "./schema.ts";
import { fillSlowStart } from "./slow-start-schema.ts";
import { isStrategyFile } from "./strategy-file.ts";
import { fillTelemetry } from "./telemetry-settings.ts";

export interface ResolveContext {
  /** Absolute folder that strategy files are relative to. */
  readonly baseDir: string;
  /** Absolute folder that other files are relative to. Default: the same. */
  readonly configDir?: string;
  /** Processors that this process may use. */
  readonly cpus: number;
  /** As `process.platform` has it. */
  readonly platform: string;
  /** Names of the built-in strategies. */
  readonly strategies: readonly string[];
}

/**
 * Checks a raw configuration and fills it in.
 *
 * @throws {ConfigError} with every problem, not only the first.
 */
export function resolveConfig(raw: unknown, context: ResolveContext): Config {
  const parsed = configSchema.safeParse(raw);
  const problems: Problem[] = parsed.success ? [] : describeIssues(parsed.error.issues, raw);
  problems.push(...findReferenceProblems(raw, context));
  if (parsed.success && problems.length === 0) return fill(parsed.data, context);
  throw new ConfigError(problems);
}

export interface NamedStrategy {
  readonly pool: string;
  /** Where the config asks for it. */
  readonly path: string;
  readonly strategy: StrategyConfig;
}

/** The strategies that can be loaded, also of a configuration that is wrong elsewhere. */
export function findStrategies(raw: unknown, context: ResolveContext): NamedStrategy[] {
  return readStrategies(raw).flatMap(({ pool, path, use, options }) => {
    if (findStrategyProblem(use, context) !== null) return [];
    return [{ pool, path: formatPath(path), strategy: fillStrategy({ use, options }, context) }];
  });
}

export interface NamedShadow extends NamedStrategy {
  /** Its place among the shadows of its pool. */
  readonly index: number;
}

/** The same for shadows. */
export function findShadows(raw: unknown, context: ResolveContext): NamedShadow[] {
  return readShadows(raw).flatMap(({ pool, path, use, options, index }) => {
    if (findStrategyProblem(use, context) !== null) return [];
    const strategy = fillStrategy({ use, options }, context);
    return [{ pool, path: formatPath(path), strategy, index }];
  });
}

/** Absolute paths of the strategy files that a configuration asks for, whether they are there or not. */
export function findStrategyFiles(raw: unknown, { baseDir }: ResolveContext): string[] {
  const uses = [...readStrategies(raw), ...readShadows(raw)].map(({ use }) => use);
  return uses.filter(isStrategyFile).map((use) => resolvePath(baseDir, use));
}

function fill(data: ConfigOutput, context: ResolveContext): Config {
  return {
    listen: data.listen.map((address): ListenConfig => ({ address })),
    pools: Object.entries(data.pools).map(([name, pool]) => fillPool(name, pool, context)),
    routes: data.routes.map((route): RouteConfig => ({
      host: route.host?.toLowerCase() ?? null,
      path: route.path ?? null,
      pool: route.pool,
      stripPrefix: route.stripPrefix,
    })),
    trustedProxies: data.trustedProxies,
    clientConnections: {
      max: data.clientConnections.max === "auto" ? null : data.clientConnections.max,
      maxPerAddress: data.clientConnections.maxPerAddress ?? null,
    },
    requestId: data.requestId,
    admin: {
      address: data.admin.address,
      token: data.admin.token ?? null,
      hosts: data.admin.hosts.map((host) => host.toLowerCase()),
    },
    workers: data.workers === "auto" ? autoWorkers(context) : data.workers,
    workerMemoryBytes: data.workerMemory,
    watchdogMs: data.watchdog === false ? null : data.watchdog,
    shutdown: { delayMs: data.shutdown.delay, graceMs: data.shutdown.grace },
    telemetry: fillTelemetry(data.telemetry, context.configDir ?? context.baseDir),
    accessLog: fillAccessLog(data.accessLog, context),
  };
}

function fillAccessLog(
  accessLog: ConfigOutput["accessLog"],
  { baseDir, configDir = baseDir }: ResolveContext,
): AccessLogConfig | null {
  if (!("format" in accessLog)) {
    const { log } = accessLog;
    if (log === "off") return null;
    return { log, file: null, format: "auto", redactQuery: [], requestHeaders: [] };
  }
  const { log, file, format, redactQuery, requestHeaders } = accessLog;
  return {
    log,
    file: file === undefined ? null : resolvePath(configDir, file),
    format,
    redactQuery: redactQuery.map((key) => key.toLowerCase()),
    requestHeaders: requestHeaders.map((name) => name.toLowerCase()),
  };
}

/** Only Linux spreads connections over processes that share a port. */
function autoWorkers({ cpus, platform }: ResolveContext): number {
  return platform === "linux" ? cpus : 1;
}

function fillPool(name: string, pool: PoolOutput, context: ResolveContext): PoolConfig {
  const { health, ejection, retry, timeouts, connections, body } = pool;
  return {
    name,
    backends: pool.backends.map(fillBackend),
    strategy: fillStrategy(pool.strategy, context),
    shadow: pool.shadow.map((strategy) => fillStrategy(strategy, context)),
    health:
      health === false
        ? null
        : {
            path: health.path ?? null,
            port: health.port ?? null,
            host: health.host ?? null,
            headers: health.headers,
            method: health.method,
            intervalMs: health.interval,
            timeoutMs: health.timeout,
            rise: health.rise,
            fall: health.fall,
            jitter: health.jitter,
            status: health.status,
            body: health.body ?? null,
          },
    ejection:
      ejection === false
        ? null
        : {
            failures: ejection.failures,
            baseMs: ejection.base,
            maxMs: ejection.max,
            maxPercent: ejection.maxPercent,
          },
    retry: retry === false ? null : retry,
    timeouts: {
      connectMs: timeouts.connect,
      firstByteMs: timeouts.firstByte,
      idleMs: timeouts.idle,
      requestMs: timeouts.request ?? null,
    },
    connections: {
      maxIdle: connections.maxIdle,
      idleMs: connections.idle,
      maxAgeMs: connections.maxAge ?? null,
    },
    body: { maxBytes: body.max },
    hostHeader: pool.hostHeader,
    headers: {
      request: fillHeaderRules(pool.headers.request),
      response: fillHeaderRules(pool.headers.response),
    },
    affinity: fillAffinity(pool.affinity),
    slowStart: fillSlowStart(pool.slowStart),
  };
}

function fillBackend(backend: ParsedBackend): BackendConfig {
  return {
    id: backend.id ?? backend.url.defaultId,
    url: backend.url.url,
    address: backend.url.address,
    weight: backend.weight,
    labels: backend.labels,
    maxInFlight: backend.maxInFlight ?? null,
    backup: backend.backup ?? false,
  };
}

function fillStrategy(strategy: PoolOutput["strategy"], context: ResolveContext): StrategyConfig {
  const options = strategy.options === undefined ? {} : { options: strategy.options };
  if (!isStrategyFile(strategy.use)) return { kind: "built-in", name: strategy.use, ...options };
  return { kind: "file", file: resolvePath(context.baseDir, strategy.use), ...options };
}
