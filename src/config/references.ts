import type { Problem } from "../errors.ts";
import { findAddressProblems } from "./address-problems.ts";
import { parseBackendUrl } from "./backend-url.ts";
import { DEFAULT_COOKIE } from "./affinity-schema.ts";
import { findCookieProblems } from "./cookie-problems.ts";
import { formatPath, show } from "./problem.ts";
import { findFileProblem, isStrategyFile } from "./strategy-file.ts";
import { didYouMean } from "./suggest.ts";
import { parseDuration } from "./units.ts";
import { MAX_SHADOWS } from "./capacity.ts";

interface ReferenceContext {
  readonly baseDir: string;
  /** As `process.platform` has it. */
  readonly platform: string;
  readonly strategies: readonly string[];
}

/**
 * Mistakes between values that are each fine by themselves. Reads the raw configuration and passes
 * over what the schema complains about already, so that both kinds are reported at once.
 */
export function findReferenceProblems(raw: unknown, context: ReferenceContext): Problem[] {
  const config = asObject(raw);
  const pools = asObject(config["pools"]);
  const problems: Problem[] = [];
  for (const [name, pool] of Object.entries(pools)) {
    const at = ["pools", name];
    problems.push(
      ...findBackendProblems(asObject(pool)["backends"], [...at, "backends"]),
      ...findBackupProblems(asObject(pool)["backends"], [...at, "backends"]),
      ...findHealthProblems(asObject(pool)["health"], [...at, "health"]),
      ...findEjectionProblems(asObject(pool)["ejection"], [...at, "ejection"]),
    );
  }
  problems.push(...findCookieProblems(readCookies(pools)));
  for (const { path, use } of [...readStrategies(raw), ...readShadows(raw)]) {
    const message = findStrategyProblem(use, context);
    if (message !== null) problems.push(problem(path, message));
  }
  problems.push(
    ...findShadowProblems(raw),
    ...findRouteProblems(config, Object.keys(pools)),
    ...findAddressProblems(config["listen"], config["admin"]),
    ...findWorkerProblems(config["workers"], context.platform),
  );
  return problems;
}

interface RawStrategy {
  readonly pool: string;
  readonly path: readonly PropertyKey[];
  readonly use: string;
  readonly options: unknown;
}

/** What each pool asks for, as far as it can be read. */
export function readStrategies(raw: unknown): RawStrategy[] {
  return Object.entries(asObject(asObject(raw)["pools"])).flatMap(([pool, entry]) => {
    const { strategy = "least-connections" } = asObject(entry);
    return readStrategy(pool, ["pools", pool, "strategy"], strategy);
  });
}

interface RawShadow extends RawStrategy {
  /** Its place among the shadows of its pool. */
  readonly index: number;
}

/** The shadows of all pools, as far as they can be read. */
export function readShadows(raw: unknown): RawShadow[] {
  return Object.entries(asObject(asObject(raw)["pools"])).flatMap(([pool, entry]) => {
    const { shadow } = asObject(entry);
    if (!Array.isArray(shadow)) return [];
    return shadow.flatMap((each: unknown, index) =>
      readStrategy(pool, ["pools", pool, "shadow", index], each).map((found) => ({
        ...found,
        index,
      })),
    );
  });
}

function readStrategy(pool: string, at: readonly PropertyKey[], strategy: unknown): RawStrategy[] {
  if (typeof strategy === "string") return [{ pool, path: at, use: strategy, options: undefined }];
  const { use, options } = asObject(strategy);
  return typeof use === "string" ? [{ pool, path: [...at, "use"], use, options }] : [];
}

function findShadowProblems(raw: unknown): Problem[] {
  const shadows = readShadows(raw);
  const first = shadows[MAX_SHADOWS];
  if (first === undefined) return [];
  const message = `found ${shadows.length} over all pools, allowed at most ${MAX_SHADOWS}: each is a process of its own`;
  return [problem(["pools", first.pool, "shadow"], message)];
}

/** What is wrong with a strategy's name or file, before it is looked into; null when nothing is. */
export function findStrategyProblem(use: string, context: ReferenceContext): string | null {
  if (isStrategyFile(use)) return findFileProblem(use, context.baseDir);
  if (context.strategies.includes(use)) return null;
  const names = context.strategies.join(", ");
  return `found ${show(use)}, allowed ${names}, or a file such as ./mine.ts${didYouMean(use, context.strategies)}`;
}

function findBackendProblems(backends: unknown, at: readonly PropertyKey[]): Problem[] {
  if (!Array.isArray(backends)) return [];
  if (backends.length === 0) {
    return [problem(at, "found an empty list, allowed at least one backend")];
  }
  const problems: Problem[] = [];
  const seen = new Map<string, number>();
  for (const [index, raw] of backends.entries()) {
    const { id, url } = typeof raw === "string" ? { id: undefined, url: raw } : asObject(raw);
    const key = readId(id, url);
    if (key === null) continue;
    const first = seen.get(key);
    if (first === undefined) {
      seen.set(key, index);
      continue;
    }
    const where = id === undefined ? [...at, index] : [...at, index, "id"];
    const origin = id === undefined ? " (from its URL)" : "";
    problems.push(
      problem(
        where,
        `found the id ${show(key)}${origin} a second time, after ${formatPath([...at, first])}; allowed an id that is unique in its pool`,
      ),
    );
  }
  return problems;
}

/** A backup stands in for others: by itself it would be an ordinary backend that says it is none. */
function findBackupProblems(backends: unknown, at: readonly PropertyKey[]): Problem[] {
  if (!Array.isArray(backends) || backends.length === 0) return [];
  if (!backends.every((backend) => asObject(backend)["backup"] === true)) return [];
  return [problem(at, "found backups only, allowed at least one backend without backup: true")];
}

/** The cookies of sticky sessions, by pool. */
function readCookies(pools: RawObject): [pool: string, cookie: string][] {
  return Object.entries(pools).flatMap(([name, pool]): [string, string][] => {
    const { affinity } = asObject(pool);
    if (typeof affinity !== "object" || affinity === null) return [];
    const { cookie = DEFAULT_COOKIE } = asObject(affinity);
    return typeof cookie === "string" ? [[name, cookie]] : [];
  });
}

/** Also of a backend that is wrong elsewhere; null when it cannot be told. */
function readId(id: unknown, url: unknown): string | null {
  if (id !== undefined) return typeof id === "string" ? id : null;
  const parsed = typeof url === "string" ? parseBackendUrl(url) : null;
  return parsed !== null && "value" in parsed ? parsed.value.defaultId : null;
}

function findHealthProblems(health: unknown, at: readonly PropertyKey[]): Problem[] {
  const { path, method, body } = asObject(health);
  const problems: Problem[] = [];
  if (method === "HEAD" && body !== undefined) {
    const message = `found ${show(body)}, but an answer to HEAD has no body; allowed with the method GET or OPTIONS`;
    problems.push(problem([...at, "body"], message));
  }
  if (path === undefined) {
    // They would be passed over in silence.
    for (const key of HTTP_PROBE_KEYS) {
      const value = asObject(health)[key];
      if (value === undefined) continue;
      const message = `found ${show(value)}, but a probe without path is a TCP connect; allowed together with path`;
      problems.push(problem([...at, key], message));
    }
  }
  return problems;
}

const HTTP_PROBE_KEYS = ["host", "headers", "method", "status", "body"] as const;

function findEjectionProblems(ejection: unknown, at: readonly PropertyKey[]): Problem[] {
  const { base = "10s", max = "300s" } = asObject(ejection);
  if (typeof base !== "string" || typeof max !== "string") return [];
  const baseMs = parseDuration(base);
  const maxMs = parseDuration(max);
  if (baseMs === null || maxMs === null || maxMs >= baseMs) return [];
  return [problem([...at, "max"], `found ${show(max)}, allowed at least base, which is ${base}`)];
}

function findRouteProblems(config: RawObject, pools: readonly string[]): Problem[] {
  const routes = config["routes"] ?? [];
  if (!Array.isArray(routes)) return [];
  const problems: Problem[] = [];
  const [first = "", second = ""] = pools;
  if (routes.length === 0 && pools.length > 1) {
    const example = `routes: [{ path: "/${first}/*", pool: "${first}" }, { pool: "${second}" }]`;
    problems.push(
      problem(
        ["routes"],
        `found none, but ${pools.length} pools (${pools.join(", ")}): routes say which request goes to which, such as ${example}`,
      ),
    );
  }
  for (const [index, route] of routes.entries()) {
    const { path, pool, stripPrefix } = asObject(route);
    if (stripPrefix === true && (path === undefined || isExact(path))) {
      const found = path === undefined ? "no path" : `the path ${show(path)}`;
      const message = `found true with ${found}, allowed together with a path that ends in /*`;
      problems.push(problem(["routes", index, "stripPrefix"], message));
    }
    if (typeof pool !== "string" || pools.includes(pool)) continue;
    problems.push(
      problem(
        ["routes", index, "pool"],
        `found ${show(pool)}, allowed ${pools.join(", ") || "the name of a pool"}${didYouMean(pool, pools)}`,
      ),
    );
  }
  return problems;
}

/** Whether it is a path without a wildcard; what is none at all the schema complains about. */
function isExact(path: unknown): boolean {
  return typeof path === "string" && !path.endsWith("/*");
}

/** What SO_REUSEPORT does elsewhere: one process gets every connection, and the others idle. */
function findWorkerProblems(workers: unknown, platform: string): Problem[] {
  if (platform === "linux" || typeof workers !== "number" || workers <= 1) return [];
  const message = `found ${show(workers)}, allowed "auto" or 1 on ${platform}: only Linux spreads connections over processes that share a port`;
  return [problem(["workers"], message)];
}

type RawObject = Readonly<Record<string, unknown>>;

function asObject(value: unknown): RawObject {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as RawObject)
    : {};
}

function problem(path: readonly PropertyKey[], message: string): Problem {
  return { path: formatPath(path), message };
}
