import type { Problem } from "../errors.ts";
import { formatAddress, isLoopback, parseAddress } from "./address.ts";
import { formatPath, show } from "./problem.ts";
import { backendSchema } from "./schema.ts";
import { findFileProblem, isStrategyFile } from "./strategy-file.ts";
import { didYouMean } from "./suggest.ts";
import { parseDuration } from "./units.ts";

interface ReferenceContext {
  readonly baseDir: string;
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
      ...findEjectionProblems(asObject(pool)["ejection"], [...at, "ejection"]),
    );
  }
  for (const { path, use } of readStrategies(raw)) {
    const message = findStrategyProblem(use, context);
    if (message !== null) problems.push(problem(path, message));
  }
  problems.push(
    ...findRouteProblems(config, Object.keys(pools)),
    ...findAddressProblems(config["listen"], asObject(config["admin"])),
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
    const at = ["pools", pool, "strategy"];
    const { strategy = "least-connections" } = asObject(entry);
    if (typeof strategy === "string")
      return [{ pool, path: at, use: strategy, options: undefined }];
    const { use, options } = asObject(strategy);
    return typeof use === "string" ? [{ pool, path: [...at, "use"], use, options }] : [];
  });
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
    const parsed = backendSchema.safeParse(raw);
    if (!parsed.success) continue;
    const { id } = parsed.data;
    const key = id ?? parsed.data.url.defaultId;
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
  if (routes.length === 0 && pools.length > 1) {
    problems.push(
      problem(
        ["routes"],
        `found none, but ${pools.length} pools (${pools.join(", ")}): routes say which request goes to which`,
      ),
    );
  }
  for (const [index, route] of routes.entries()) {
    const { pool } = asObject(route);
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

function findAddressProblems(listen: unknown, admin: RawObject): Problem[] {
  const problems: Problem[] = [];
  const taken = new Map<string, string>();
  const claim = (text: unknown, at: readonly PropertyKey[]): void => {
    const parsed = typeof text === "string" ? parseAddress(text) : null;
    if (!parsed || !("value" in parsed)) return;
    // Port 0 is another free port each time.
    if ("port" in parsed.value && parsed.value.port === 0) return;
    const key = formatAddress(parsed.value);
    const first = taken.get(key);
    if (first === undefined) taken.set(key, formatPath(at));
    else problems.push(problem(at, `found ${show(text)}, which ${first} has already`));
  };
  if (Array.isArray(listen)) {
    for (const [index, entry] of listen.entries()) {
      const { address, unix } = asObject(entry);
      if (typeof unix === "string") claim(`unix:${unix}`, ["listen", index, "unix"]);
      else claim(address, ["listen", index, "address"]);
    }
  }
  const { address, token } = admin;
  claim(address, ["admin", "address"]);
  const parsed = typeof address === "string" ? parseAddress(address) : null;
  if (parsed && "value" in parsed && !isLoopback(parsed.value) && token === undefined) {
    problems.push(
      problem(
        ["admin", "token"],
        `found nothing, but ${show(address)} can be reached from other machines: a token is required`,
      ),
    );
  }
  return problems;
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
