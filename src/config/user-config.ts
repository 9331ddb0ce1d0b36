/**
 * What a config file holds. Durations are texts such as `"250ms"`, `"5s"`, `"1m"`, sizes such as
 * `"64KiB"`, `"1GiB"`. Everything but `pools` has a default; a key that is not named here is an error.
 */
export interface UserConfig {
  /** For editors: where the JSON Schema is that `leastwise schema` prints. */
  readonly $schema?: string | undefined;
  /** Default `[{ address: "0.0.0.0:8080" }]`. */
  readonly listen?: readonly UserListen[] | undefined;
  /** Named groups of backends, each with one strategy; at least one. */
  readonly pools: { readonly [name: string]: UserPool };
  /** First match wins, in this order. One pool needs none; several pools do. */
  readonly routes?: readonly UserRoute[] | undefined;
  /**
   * Peers whose `X-Forwarded-*`, `Forwarded` and `X-Request-Id` are believed: IP addresses, networks
   * such as `"10.0.0.0/8"`, and `"unix"`. Default: none.
   */
  readonly trustedProxies?: readonly string[] | undefined;
  /** How many connections clients may have open over TCP, over all workers. Linux only. */
  readonly clientConnections?: UserClientConnections | undefined;
  /** Whether backends get an `X-Request-Id`. Default true. */
  readonly requestId?: boolean | undefined;
  readonly admin?: UserAdmin | undefined;
  /** Default `"auto"`: as many as this process may use processors; elsewhere than on Linux 1, and more is an error. */
  readonly workers?: "auto" | number | undefined;
  readonly shutdown?: UserShutdown | undefined;
}

/** Where clients connect. Port 0 takes any free port. */
export type UserListen =
  /** `host:port`, `[v6]:port` or `unix:/path`. */
  | { readonly address: string }
  /** Absolute path of a unix socket. */
  | { readonly unix: string };

export interface UserPool {
  /** URLs, `http://host:port` or `unix:/path`, or objects; at least one. */
  readonly backends: readonly (string | UserBackend)[];
  /** A built-in by name, or a file relative to the config file. Default `"least-connections"`. */
  readonly strategy?: string | UserStrategy | undefined;
  /** Probes; on by default, `false`: none. */
  readonly health?: false | UserHealth | undefined;
  /** Taking backends out for failures of real traffic; on by default, `false`: never. */
  readonly ejection?: false | UserEjection | undefined;
  /** Giving a failed request to another backend; on by default, `false`: never. */
  readonly retry?: false | UserRetry | undefined;
  readonly timeouts?: UserTimeouts | undefined;
  readonly connections?: UserConnections | undefined;
  readonly body?: UserBody | undefined;
  /** Whether the backend sees the Host that the client sent, or its own. Default `"preserve"`. */
  readonly hostHeader?: "preserve" | "backend" | undefined;
  readonly headers?: UserHeaders | undefined;
}

export interface UserHeaders {
  /** Of requests to the backends. */
  readonly request?: UserHeaderRules | undefined;
  /** Of the backends' answers. */
  readonly response?: UserHeaderRules | undefined;
}

/** Not for `Host` (see `hostHeader`) and fields that concern the connection or the framing. */
export interface UserHeaderRules {
  /** In place of fields of the same name. */
  readonly set?: { readonly [name: string]: string } | undefined;
  /** Beside fields of the same name. */
  readonly add?: { readonly [name: string]: string } | undefined;
  readonly remove?: readonly string[] | undefined;
}

export interface UserBackend {
  /** `http://host:port` (port 80 unless given) or `unix:/path`. */
  readonly url: string;
  /** Names the backend everywhere; unique in its pool. Default `host:port`, or the socket's path. */
  readonly id?: string | undefined;
  /** Above 0; twice the weight means twice the share. Default 1. */
  readonly weight?: number | undefined;
  /** Free texts that strategies may read. */
  readonly labels?: { readonly [name: string]: string } | undefined;
  /** Requests in flight above which it gets no more. Default: no limit. */
  readonly maxInFlight?: number | undefined;
}

export interface UserStrategy {
  /** A built-in by name, or a file relative to the config file. */
  readonly use: string;
  /** What the strategy's `parseOptions` is given. */
  readonly options?: unknown;
}

export interface UserHealth {
  /** Requested from the backend. Default: none, a TCP connect is the probe. */
  readonly path?: string | undefined;
  /** Default: the backend's own. */
  readonly port?: number | undefined;
  /** Host field of the probe. Default: the backend's host and port. */
  readonly host?: string | undefined;
  readonly headers?: { readonly [name: string]: string } | undefined;
  /** Default `"GET"`. */
  readonly method?: "GET" | "HEAD" | "OPTIONS" | undefined;
  /** Default `"5s"`. */
  readonly interval?: string | undefined;
  /** Default `"2s"`. */
  readonly timeout?: string | undefined;
  /** Good probes in a row that make an unhealthy backend healthy. Default 2. */
  readonly rise?: number | undefined;
  /** Bad probes in a row that make a healthy backend unhealthy. Default 3. */
  readonly fall?: number | undefined;
  /** Fraction of the interval by which each wait is varied. Default 0.1. */
  readonly jitter?: number | undefined;
  /** Good status codes: `"200-299"`, `"200,204,300-399"` or 200. Default `"200-299"`. */
  readonly status?: string | number | undefined;
  /** Text that a good answer's body contains. */
  readonly body?: string | undefined;
}

export interface UserEjection {
  /** Failures in a row, over all workers, that eject. Default 5. */
  readonly failures?: number | undefined;
  /** Length of the first ejection; the n-th in a row lasts n times as long. Default `"10s"`. */
  readonly base?: string | undefined;
  /** Default `"300s"`. */
  readonly max?: string | undefined;
  /** Share of the healthy backends that may be ejected at once, 0 to 100. Default 50. */
  readonly maxPercent?: number | undefined;
}

export interface UserRetry {
  /** Attempts per request including the first; failures to connect do not count. Default 2. */
  readonly attempts?: number | undefined;
  /** Retries may be this fraction of the recent requests, 0 to 1. Default 0.2. */
  readonly budget?: number | undefined;
  /** Default `["connect", "reset"]`. */
  readonly on?: readonly ("connect" | "reset" | "timeout" | "502" | "503" | "504")[] | undefined;
}

export interface UserTimeouts {
  /** Default `"2s"`. */
  readonly connect?: string | undefined;
  /** From the request to the head of its response. Default `"60s"`. */
  readonly firstByte?: string | undefined;
  /** No byte either way inside a message. Default `"60s"`. */
  readonly idle?: string | undefined;
  /** The whole request. Default: no limit. */
  readonly request?: string | undefined;
}

/** Connections to backends, per backend and worker. */
export interface UserConnections {
  /** Kept open for later requests. Default 256. */
  readonly maxIdle?: number | undefined;
  /** Default `"60s"`. */
  readonly idle?: string | undefined;
  /** Default: no limit. */
  readonly maxAge?: string | undefined;
}

export interface UserBody {
  /** Largest request body; above it 413. Default `"1GiB"`. */
  readonly max?: string | undefined;
  /** A response body that is whole within this size keeps its Content-Length. Default `"256KiB"`. */
  readonly buffer?: string | undefined;
}

export interface UserRoute {
  /** Without port and case; `*.example.com` is one label. Default: any. */
  readonly host?: string | undefined;
  /** Exact, or with a final `/*`; `/v1/*` matches `/v1` too. Default: any. */
  readonly path?: string | undefined;
  /** The name of a pool. */
  readonly pool: string;
  /** Whether the backend gets `/users` for `/v1/users` where `path` is `/v1/*`. Default false. */
  readonly stripPrefix?: boolean | undefined;
}

export interface UserClientConnections {
  /**
   * Above it the client with the most connections loses some, those without a request first. Default `"auto"`:
   * what the limit of file descriptors allows when every connection has a request under way.
   */
  readonly max?: number | "auto" | undefined;
  /** Per client address (IPv6: per /64 network), except for `trustedProxies`. Default: no limit. */
  readonly maxPerAddress?: number | undefined;
}

export interface UserAdmin {
  /** `host:port` or `unix:/path`. Default `"127.0.0.1:9900"`. */
  readonly address?: string | undefined;
  /** Required when the address is not loopback. */
  readonly token?: string | undefined;
  /** Host names beside the loopback ones under which it may be reached. */
  readonly hosts?: readonly string[] | undefined;
}

export interface UserShutdown {
  /** Between the signal and closing the listeners. Default `"0s"`. */
  readonly delay?: string | undefined;
  /** For requests in flight to finish. Default `"30s"`. */
  readonly grace?: string | undefined;
}
