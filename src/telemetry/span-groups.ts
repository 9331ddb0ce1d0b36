import type { Backend } from "../plugin.ts";
import type { AttemptFacts } from "../proxy/observer.ts";
import { AttributeGroup, AttributeGroups } from "./attribute-group.ts";
import {
  BACKEND_ID,
  CLIENT_ADDRESS,
  HTTP_REQUEST_METHOD,
  HTTP_ROUTE,
  METHOD_OTHER,
  NETWORK_PEER_ADDRESS,
  NETWORK_PROTOCOL_VERSION,
  POOL,
  SERVER_ADDRESS,
  SERVER_PORT,
  STRATEGY,
  STRATEGY_VERSION,
  URL_SCHEME,
} from "./attributes.ts";
import { parseAuthority } from "./authority.ts";
import { backendPeer } from "./backend-peer.ts";

type Scheme = "http" | "https";

export interface RouteGroup {
  readonly group: AttributeGroup;
  /** `http.route`; null for a route without a path. */
  readonly path: string | null;
}

export interface BackendGroup {
  readonly group: AttributeGroup;
  readonly scheme: Scheme;
}

/** What is the same on many spans: each group is made once. */
export class SpanGroups {
  readonly method: AttributeGroups;
  /** By the address of a client that is connected without a proxy between. */
  readonly client = new AttributeGroups((address) => ({
    [CLIENT_ADDRESS]: address,
    [NETWORK_PEER_ADDRESS]: address,
  }));
  readonly #protocols = {
    http: new AttributeGroups((version) => protocol("http", version)),
    https: new AttributeGroups((version) => protocol("https", version)),
  };
  readonly #authorities = {
    http: new AttributeGroups((host) => server(host, "http")),
    https: new AttributeGroups((host) => server(host, "https")),
  };
  readonly #routes = new Map<string, Map<string | null, RouteGroup>>();
  /** By the objects, which a reload replaces when they are others. */
  readonly #backends = new WeakMap<object, WeakMap<Backend, BackendGroup>>();

  constructor(knownMethods: ReadonlySet<string>) {
    this.method = new AttributeGroups((method) => ({
      [HTTP_REQUEST_METHOD]: knownMethods.has(method) ? method : METHOD_OTHER,
    }));
  }

  protocol(scheme: Scheme, version: string): AttributeGroup {
    return this.#protocols[scheme].of(version);
  }

  /** `host`: as in a Host field. Empty when there is no host in it. */
  authority(host: string, scheme: Scheme): AttributeGroup {
    return this.#authorities[scheme].of(host);
  }

  route(pool: string, route: string | null): RouteGroup {
    return this.#routes.get(pool)?.get(route) ?? this.#addRoute(pool, route);
  }

  backend(facts: AttemptFacts): BackendGroup {
    const found = this.#backends.get(facts.strategy)?.get(facts.backend);
    return found ?? this.#addBackend(facts);
  }

  #addRoute(pool: string, route: string | null): RouteGroup {
    const path = routePath(route);
    const attributes = path === null ? { [POOL]: pool } : { [POOL]: pool, [HTTP_ROUTE]: path };
    const added = { group: new AttributeGroup(attributes), path };
    const byRoute = this.#routes.get(pool) ?? new Map<string | null, RouteGroup>();
    this.#routes.set(pool, byRoute.set(route, added));
    return added;
  }

  #addBackend({ pool, backend, strategy }: AttemptFacts): BackendGroup {
    const { scheme, attributes } = backendPeer(backend);
    const group = new AttributeGroup({
      ...attributes,
      [NETWORK_PROTOCOL_VERSION]: "1.1",
      [POOL]: pool,
      [BACKEND_ID]: backend.id,
      [STRATEGY]: strategy.name,
      [STRATEGY_VERSION]: strategy.version,
    });
    const byBackend = this.#backends.get(strategy) ?? new WeakMap<Backend, BackendGroup>();
    this.#backends.set(strategy, byBackend.set(backend, { group, scheme }));
    return { group, scheme };
  }
}

function protocol(scheme: Scheme, version: string) {
  return { [URL_SCHEME]: scheme, [NETWORK_PROTOCOL_VERSION]: version };
}

function server(host: string, scheme: Scheme) {
  const authority = parseAuthority(host, scheme);
  if (authority === null) return {};
  return { [SERVER_ADDRESS]: authority.address, [SERVER_PORT]: authority.port };
}

/** `http.route` is a path; the host of `api.example.com/v1/*` is in `server.address`. Null for a route without a path. */
function routePath(route: string | null): string | null {
  const at = route?.indexOf("/") ?? -1;
  return route === null || at === -1 ? null : route.slice(at);
}
