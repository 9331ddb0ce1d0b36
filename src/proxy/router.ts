import type { Config, RouteConfig } from "../config/config.ts";

export interface Routed {
  readonly pool: string;
  /** The pattern that matched, for example `api.example.com/v1/*`; null when the only pool gets everything. */
  readonly route: string | null;
  /** What the backend must not see of the path's beginning; empty: it gets all of it. */
  readonly prefix: string;
}

export type Router = (host: string, path: string) => Routed | null;

/** First match in file order; without routes the only pool gets everything. */
export function createRouter(config: Pick<Config, "routes" | "pools">): Router {
  const [only] = config.pools;
  if (config.routes.length === 0 && only !== undefined) {
    const routed: Routed = { pool: only.name, route: null, prefix: "" };
    return () => routed;
  }
  const routes = config.routes.map((route) => ({
    matchesHost: hostMatcher(route.host),
    matchesPath: pathMatcher(route.path),
    routed: {
      pool: route.pool,
      route: patternOf(route),
      prefix: route.stripPrefix ? (route.path ?? "").slice(0, -"/*".length) : "",
    } satisfies Routed,
  }));
  return (host, path) => {
    const name = hostName(host);
    const match = routes.find((route) => route.matchesHost(name) && route.matchesPath(path));
    return match?.routed ?? null;
  };
}

/** A target (path and query) that matched, as the backend gets it. */
export function withoutPrefix(target: string, { prefix }: Pick<Routed, "prefix">): string {
  const rest = target.slice(prefix.length);
  return rest.startsWith("/") ? rest : `/${rest}`;
}

function patternOf(route: RouteConfig): string {
  return `${route.host ?? ""}${route.path ?? "/*"}`;
}

/** Lower case, without the port and without a final dot. */
function hostName(host: string): string {
  const end = host.endsWith("]") ? host.length : host.lastIndexOf(":");
  const name = (end < 0 ? host : host.slice(0, end)).toLowerCase();
  return name.endsWith(".") ? name.slice(0, -1) : name;
}

function hostMatcher(pattern: string | null): (name: string) => boolean {
  if (pattern === null) return () => true;
  if (!pattern.startsWith("*.")) return (name) => name === pattern;
  const suffix = pattern.slice(1);
  return (name) => {
    const label = name.length - suffix.length;
    return label > 0 && name.endsWith(suffix) && !name.slice(0, label).includes(".");
  };
}

function pathMatcher(pattern: string | null): (path: string) => boolean {
  if (pattern === null || pattern === "/*") return () => true;
  if (!pattern.endsWith("/*")) return (path) => path === pattern;
  const prefix = pattern.slice(0, -1);
  const bare = pattern.slice(0, -2);
  return (path) => path.startsWith(prefix) || path === bare;
}
