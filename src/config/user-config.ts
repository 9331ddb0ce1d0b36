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
  /**
   * Resident memory of one worker, above which it is replaced; at least `"128MiB"`. Default `"1GiB"`.
   * Linux only.
   */
  readonly workerMemory?: string | undefined;
  /**
   * A worker that computes for this long without a break, because a strategy loops, is replaced; at
   * least `"500ms"`, `false`: none is. Default `"1s"`. Linux only.
   */
  readonly watchdog?: string | false | undefined;
  readonly shutdown?: UserShutdown | undefined;
  /** Traces and metrics by OTLP. The `OTEL_*` variables say the same and win. Default: off. */
  readonly telemetry?: UserTelemetry | undefined;
  /**
   * One line per request: of those that went wrong (`"errors"`), of all, or of none. Default
   * `"errors"`, to stderr.
   */
  readonly accessLog?: "off" | "errors" | "all" | UserAccessLog | undefined;
}

export interface UserAccessLog {
  /** Default `"errors"`: 5xx, answers of our own, those that broke, and clients that went away. */
  readonly log?: "errors" | "all" | undefined;
  /** Relative to the config file; appended to, and opened anew on SIGHUP. Default: stderr. */
  readonly file?: string | undefined;
  /** Default `"auto"`: text on a terminal, one JSON object per line elsewhere. */
  readonly format?: "auto" | "json" | "text" | undefined;
  /** Keys of the query whose values are neither written nor traced, beside those of signatures, whatever their case. */
  readonly redactQuery?: readonly string[] | undefined;
  /** Header fields of the request that are written too, such as `"user-agent"`; not credentials. */
  readonly requestHeaders?: readonly string[] | undefined;
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
  /**
   * Strategies that are shown the pool's traffic, each in a process of its own, and place nothing: what they would
   * have done is told by `leastwise status`. At most 16 over all pools.
   */
  readonly shadow?: readonly (string | UserStrategy)[] | undefined;
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
  /** Sticky sessions: a client goes on at the backend it began with. Default: off. */
  readonly affinity?: UserAffinity | undefined;
  /** A backend that becomes available gets its share little by little. Default: off. */
  readonly slowStart?: UserSlowStart | undefined;
}

export interface UserAffinity {
  /** Name of the cookie; each pool needs its own. Default `"lw"`. */
  readonly cookie?: string | undefined;
  /** A session that is used goes on; any other ends after half to all of this. Default `"1h"`. */
  readonly ttl?: string | undefined;
  /**
   * Signs the cookies: at least 16 characters, the same in all instances. Default: one is made at the
   * start, and sessions end with the process.
   */
  readonly secret?: string | undefined;
}

/** Envoy's: the weight grows from `minWeight` to the whole, by `(time / window) ^ (1 / aggression)`. */
export interface UserSlowStart {
  /** At least `"2s"`. Default `"30s"`. */
  readonly window?: string | undefined;
  /** Share of its weight that a backend has at least, 0.001 to 1. Default 0.1. */
  readonly minWeight?: number | undefined;
  /** 1: evenly; above 1: faster at first; 0.1 to 100. Default 1. */
  readonly aggression?: number | undefined;
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
  /** Gets requests only when no other backend can. Default false. */
  readonly backup?: boolean | undefined;
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
  /**
   * Between the signal and closing the listeners; half a second at the least while clients are connected, who are told
   * to close. Default `"0s"`.
   */
  readonly delay?: string | undefined;
  /** For requests in flight to finish. Default `"30s"`. */
  readonly grace?: string | undefined;
}

/** Nothing is sent until an endpoint or an exporter is named. */
export interface UserTelemetry {
  /** `OTEL_SDK_DISABLED`. Default false. */
  readonly disabled?: boolean | undefined;
  /**
   * Whose trace context is continued: `"private"`, that of peers on loopback and private addresses
   * and of `trustedProxies`; `"always"`; `"never"`. From anyone else a new trace starts, linked to
   * theirs. Default `"private"`.
   */
  readonly trust?: "private" | "always" | "never" | undefined;
  /** `OTEL_SERVICE_NAME`. Default `"leastwise"`. */
  readonly serviceName?: string | undefined;
  /** `OTEL_RESOURCE_ATTRIBUTES`. */
  readonly resourceAttributes?: { readonly [name: string]: string } | undefined;
  /** `OTEL_PROPAGATORS`. Default `["tracecontext", "baggage"]`. */
  readonly propagators?: readonly ("tracecontext" | "baggage" | "none")[] | undefined;
  /**
   * `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS`: all others are `_OTHER` in attributes. Default: those
   * of the RFCs.
   */
  readonly knownMethods?: readonly string[] | undefined;
  /** `OTEL_LOG_LEVEL`: which messages of the OpenTelemetry SDK are logged. Default `"warn"`. */
  readonly logLevel?: "none" | "error" | "warn" | "info" | "debug" | "verbose" | "all" | undefined;
  readonly traces?: UserTraces | undefined;
  readonly metrics?: UserMetrics | undefined;
  /** For traces and metrics. */
  readonly otlp?: UserOtlp | undefined;
}

export interface UserTraces {
  /** `OTEL_TRACES_EXPORTER`. Default `"otlp"` as soon as an endpoint is named. */
  readonly exporter?: "otlp" | "console" | "none" | undefined;
  /** `OTEL_TRACES_SAMPLER`. Default `"parentbased_always_on"`, with `ratio` `"parentbased_traceidratio"`. */
  readonly sampler?:
    | "always_on"
    | "always_off"
    | "traceidratio"
    | "parentbased_always_on"
    | "parentbased_always_off"
    | "parentbased_traceidratio"
    | undefined;
  /** `OTEL_TRACES_SAMPLER_ARG`: the share of traces that is kept, 0 to 1. Default 1. */
  readonly ratio?: number | undefined;
  /** `OTEL_BSP_*`, per worker. */
  readonly batch?: UserSpanBatch | undefined;
  /** `OTEL_SPAN_*_LIMIT` and their like. */
  readonly limits?: UserSpanLimits | undefined;
  /** What differs from `telemetry.otlp`. */
  readonly otlp?: UserOtlp | undefined;
}

export interface UserSpanBatch {
  /** Default `"5s"`. */
  readonly delay?: string | undefined;
  /** Default `"30s"`. */
  readonly timeout?: string | undefined;
  /** Spans that wait or are being sent, and never more than 3 MiB of them; what comes on top is dropped and counted. Default 2048. */
  readonly maxQueue?: number | undefined;
  /** Default 512, or `maxQueue` where that is less. */
  readonly maxBatch?: number | undefined;
}

export interface UserSpanLimits {
  /** Attributes of a span. Default 128. */
  readonly attributes?: number | undefined;
  /** Characters of an attribute's value. Default: no limit. */
  readonly attributeLength?: number | undefined;
  /** Default 128. */
  readonly events?: number | undefined;
  /** Default 128. */
  readonly links?: number | undefined;
  /** Default 128. */
  readonly eventAttributes?: number | undefined;
  /** Default 128. */
  readonly linkAttributes?: number | undefined;
}

export interface UserMetrics {
  /**
   * `OTEL_METRICS_EXPORTER`. `"prometheus"`: only `/metrics` of the admin address, which is served in
   * any case. Default `"otlp"` as soon as an endpoint is named.
   */
  readonly exporter?: "otlp" | "console" | "prometheus" | "none" | undefined;
  /** `OTEL_METRIC_EXPORT_INTERVAL`. Default `"60s"`. */
  readonly interval?: string | undefined;
  /** `OTEL_METRIC_EXPORT_TIMEOUT`, at most the interval. Default `"30s"`. */
  readonly timeout?: string | undefined;
  /** What differs from `telemetry.otlp`. */
  readonly otlp?: UserOtlp | undefined;
}

/** `OTEL_EXPORTER_OTLP_*`; of one signal, `OTEL_EXPORTER_OTLP_TRACES_*` and `…_METRICS_*`. */
export interface UserOtlp {
  /**
   * Where the collector is. `v1/traces` and `v1/metrics` are added to that of `telemetry.otlp`; that
   * of one signal is used as it is. Default `http://localhost:4318`, with gRPC `:4317`.
   */
  readonly endpoint?: string | undefined;
  /** Default `"http/protobuf"`. */
  readonly protocol?: "http/protobuf" | "http/json" | "grpc" | undefined;
  readonly headers?: { readonly [name: string]: string } | undefined;
  /** For one export with all its tries. Default `"10s"`. */
  readonly timeout?: string | undefined;
  /** Default `"none"`. */
  readonly compression?: "none" | "gzip" | undefined;
  /** File with the authorities that are trusted, in PEM, relative to the config file. Default: the system's. */
  readonly certificate?: string | undefined;
  /** File with the key of `clientCertificate`. */
  readonly clientKey?: string | undefined;
  /** File with the certificate that the collector is shown. */
  readonly clientCertificate?: string | undefined;
}
