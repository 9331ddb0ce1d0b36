/**
 * A configuration after validation: everything filled in, plain data (it travels to the workers),
 * durations in milliseconds, sizes in bytes.
 */
export interface Config {
  readonly listen: readonly ListenConfig[];
  /** In the order of the file; names are unique; at least one. */
  readonly pools: readonly PoolConfig[];
  /** First match wins. With no routes there is exactly one pool, which gets everything. */
  readonly routes: readonly RouteConfig[];
  /** Peers whose forwarding fields are believed. */
  readonly trustedProxies: readonly TrustedProxy[];
  readonly clientConnections: ClientConnectionsConfig;
  /** Whether backends get an `X-Request-Id`. */
  readonly requestId: boolean;
  readonly admin: AdminConfig;
  /** Resolved: `auto` has become a number of at least 1. */
  readonly workers: number;
  /** Per worker, of resident memory: one that has more is replaced. */
  readonly workerMemoryBytes: number;
  /** A worker that computes for this long without answering anybody is replaced. Null: none is. */
  readonly watchdogMs: number | null;
  readonly shutdown: { readonly delayMs: number; readonly graceMs: number };
  readonly telemetry: TelemetryConfig;
  /** Null: none. */
  readonly accessLog: AccessLogConfig | null;
}

export interface AccessLogConfig {
  readonly log: "errors" | "all";
  /** Absolute; null: stderr. */
  readonly file: string | null;
  /** `auto`: text on a terminal, JSON elsewhere. */
  readonly format: "auto" | "json" | "text";
  /** Keys of the query whose values are not written, beside those that never are. Lower case. */
  readonly redactQuery: readonly string[];
  /** Fields of the request that are written too. Lower case, none of them a credential. */
  readonly requestHeaders: readonly string[];
}

/** A TCP address or the path of a unix socket. */
export type SocketAddress =
  { readonly hostname: string; readonly port: number } | { readonly unix: string };

/** Limits over all workers, for clients that come in by TCP. */
export interface ClientConnectionsConfig {
  /** Null: as many as there are file descriptors for. */
  readonly max: number | null;
  /** Not for trusted proxies. IPv6 addresses count by their first 64 bits. Null: no limit. */
  readonly maxPerAddress: number | null;
}

export interface ListenConfig {
  readonly address: SocketAddress;
}

export interface PoolConfig {
  readonly name: string;
  /** At least one; ids unique within the pool. */
  readonly backends: readonly BackendConfig[];
  readonly strategy: StrategyConfig;
  /** Strategies that are told of the pool's traffic and asked, but place nothing. */
  readonly shadow: readonly StrategyConfig[];
  /** Null: no probes. */
  readonly health: HealthConfig | null;
  /** Null: no ejection. */
  readonly ejection: EjectionConfig | null;
  /** Null: one attempt, whatever happens, connect failures included. */
  readonly retry: RetryConfig | null;
  readonly timeouts: TimeoutConfig;
  readonly connections: ConnectionConfig;
  readonly body: BodyConfig;
  /** `preserve`: the backend sees the Host that the client sent. `backend`: the backend's own host and port. */
  readonly hostHeader: "preserve" | "backend";
  readonly headers: { readonly request: HeaderRules; readonly response: HeaderRules };
  /** Null: no sticky sessions. */
  readonly affinity: AffinityConfig | null;
  /** Null: a backend that becomes available has its whole weight at once. */
  readonly slowStart: SlowStartConfig | null;
}

export interface AffinityConfig {
  readonly cookie: string;
  /** After the last renewal, of which there is one in each half of it. */
  readonly ttlMs: number;
  /** Null: the master makes one. */
  readonly secret: string | null;
}

export interface SlowStartConfig {
  readonly windowMs: number;
  /** Share of the weight that a backend has at least, above 0. */
  readonly minWeight: number;
  /** Above 0. 1: the weight grows evenly. */
  readonly aggression: number;
}

/** Names are in lower case, and none of them concerns the connection or the framing. */
export interface HeaderRules {
  /** In place of fields of the same name. */
  readonly set: readonly (readonly [name: string, value: string])[];
  /** Beside fields of the same name. */
  readonly add: readonly (readonly [name: string, value: string])[];
  readonly remove: readonly string[];
}

/** A network of peers, or whoever connects over a unix socket. */
export type TrustedProxy =
  { readonly address: string; readonly prefix: number; readonly family: "ipv4" | "ipv6" } | "unix";

export interface BackendConfig {
  readonly id: string;
  /** Normalised: `http://host:port` or `unix:/path`. */
  readonly url: string;
  readonly address: SocketAddress;
  readonly weight: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Null: no limit. */
  readonly maxInFlight: number | null;
  /** A candidate only when no other backend is one. */
  readonly backup: boolean;
}

/** A built-in by name, or a strategy file by absolute path, with its options still unparsed. */
export type StrategyConfig = (
  | { readonly kind: "built-in"; readonly name: string }
  | { readonly kind: "file"; readonly file: string }
) & {
  /** Undefined when the config gives none. */
  readonly options?: unknown;
};

export interface HealthConfig {
  /** Null: a TCP connect is the whole probe. */
  readonly path: string | null;
  /** Null: the backend's own port. */
  readonly port: number | null;
  /** Host field of the probe; null: the backend's host and port. */
  readonly host: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly method: "GET" | "HEAD" | "OPTIONS";
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Good probes in a row that make an unhealthy backend healthy. */
  readonly rise: number;
  /** Bad probes in a row that make a healthy backend unhealthy. */
  readonly fall: number;
  /** Fraction of the interval by which each wait is varied, 0 to 1. */
  readonly jitter: number;
  /** Inclusive ranges of good status codes. */
  readonly status: readonly (readonly [number, number])[];
  /** Text that a good answer's body contains; null: any body. */
  readonly body: string | null;
}

export interface EjectionConfig {
  /** Failures in a row, over all workers, that eject. */
  readonly failures: number;
  /** First ejection's length; the n-th in a row lasts n times as long. */
  readonly baseMs: number;
  readonly maxMs: number;
  /** Share of the probe-healthy backends of a pool that may be ejected at once, 0 to 100. */
  readonly maxPercent: number;
}

/** Failures, and statuses of responses, after which a request may be given to another candidate. */
export type RetryReason = "connect" | "reset" | "timeout" | "502" | "503" | "504";

export interface RetryConfig {
  /** Attempts per request including the first; failures to connect do not count. */
  readonly attempts: number;
  /** Retries may be this fraction of the recent requests. */
  readonly budget: number;
  readonly on: readonly RetryReason[];
}

export interface TimeoutConfig {
  readonly connectMs: number;
  readonly firstByteMs: number;
  /** No byte either way inside a message; not for `text/event-stream`. */
  readonly idleMs: number;
  /** Whole request; null: no limit. */
  readonly requestMs: number | null;
}

/** Per backend and worker. */
export interface ConnectionConfig {
  readonly maxIdle: number;
  readonly idleMs: number;
  /** Null: no limit. */
  readonly maxAgeMs: number | null;
}

export interface BodyConfig {
  /** Largest request body in bytes; above it 413. */
  readonly maxBytes: number;
}

export interface RouteConfig {
  /** Lower case without port; `*.example.com` is one label; null: any. */
  readonly host: string | null;
  /** Exact, or a prefix that ends in `/*`; null: any. */
  readonly path: string | null;
  readonly pool: string;
  /** Whether the backend gets the path without the part before the final `/*`. */
  readonly stripPrefix: boolean;
}

export interface AdminConfig {
  readonly address: SocketAddress;
  /** Null only on loopback addresses and unix sockets. */
  readonly token: string | null;
  /** Host names beside the loopback ones that may be used to reach it. */
  readonly hosts: readonly string[];
}

/** What is traced and counted, and where it goes: the file with the `OTEL_*` variables on top. */
export interface TelemetryConfig {
  /**
   * Whose trace context is continued: that of peers on loopback and private addresses and of
   * `trustedProxies`, everybody's, or nobody's.
   */
  readonly trust: "private" | "always" | "never";
  /** Whether trace context is read from clients and sent to backends. */
  readonly propagate: boolean;
  /** Methods that may be an attribute's value; null: those of the RFCs. */
  readonly knownMethods: readonly string[] | null;
  readonly serviceName: string;
  readonly resourceAttributes: Readonly<Record<string, string>>;
  /** Which of the SDK's own messages are logged. */
  readonly logLevel: SdkLogLevel;
  /** Null: no spans. */
  readonly traces: TracesConfig | null;
  /** Null: nothing is pushed; `/metrics` is served all the same. */
  readonly metrics: MetricsConfig | null;
}

export type SdkLogLevel = "none" | "error" | "warn" | "info" | "debug" | "verbose" | "all";

/** Null: the console. */
export type ExportTarget = OtlpConfig | null;

export interface OtlpConfig {
  readonly protocol: "http/protobuf" | "http/json" | "grpc";
  /** With the signal's path; of gRPC only scheme, host and port count. */
  readonly url: string;
  /** Names are in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** For one export with all its tries. */
  readonly timeoutMs: number;
  readonly compression: "none" | "gzip";
  /** Files in PEM, by absolute path; null: the system's authorities, and no client certificate. */
  readonly certificate: string | null;
  readonly clientKey: string | null;
  readonly clientCertificate: string | null;
}

export interface TracesConfig {
  readonly target: ExportTarget;
  readonly sampler: Sampler;
  /** For the samplers that end in `traceidratio`. */
  readonly ratio: number;
  readonly batch: {
    readonly delayMs: number;
    readonly timeoutMs: number;
    /** Spans that wait or are being sent, per worker, besides the bound on their bytes; what comes on top is dropped. */
    readonly maxQueue: number;
    readonly maxBatch: number;
  };
  readonly limits: {
    readonly attributes: number;
    /** Null: no limit. */
    readonly attributeLength: number | null;
    readonly events: number;
    readonly links: number;
    readonly eventAttributes: number;
    readonly linkAttributes: number;
  };
}

export type Sampler =
  | "always_on"
  | "always_off"
  | "traceidratio"
  | "parentbased_always_on"
  | "parentbased_always_off"
  | "parentbased_traceidratio";

export interface MetricsConfig {
  readonly target: ExportTarget;
  readonly intervalMs: number;
  readonly timeoutMs: number;
}
