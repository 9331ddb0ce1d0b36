import type { BackendConfig, PoolConfig } from "../../src/config/config.ts";
import { NO_HEADER_RULES } from "./header-rules.ts";
import { Counters, countersLength } from "../../src/pool/counters.ts";
import { Pool } from "../../src/pool/pool.ts";

export function newCounters(rows: number, workers = 2): Counters {
  const shape = { rows, workers };
  return new Counters(new Int32Array(countersLength(shape)), shape);
}

export function backendConfig(id: string, change: Partial<BackendConfig> = {}): BackendConfig {
  return {
    id,
    url: `http://${id}`,
    address: { hostname: "127.0.0.1", port: 1 },
    weight: 1,
    labels: {},
    maxInFlight: null,
    backup: false,
    ...change,
  };
}

export function poolConfig(
  backends: readonly BackendConfig[],
  change: Partial<PoolConfig> = {},
): PoolConfig {
  return {
    name: "web",
    backends,
    strategy: { kind: "built-in", name: "least-connections" },
    shadow: [],
    health: null,
    ejection: null,
    retry: null,
    timeouts: { connectMs: 2000, firstByteMs: 60_000, idleMs: 60_000, requestMs: null },
    connections: { maxIdle: 256, idleMs: 60_000, maxAgeMs: null },
    body: { maxBytes: 1 << 30 },
    hostHeader: "preserve",
    headers: { request: NO_HEADER_RULES, response: NO_HEADER_RULES },
    affinity: null,
    slowStart: null,
    ...change,
  };
}

/** Backends `a`, `b`, … in rows 0, 1, … of fresh counters for two workers. */
export function newPool(backends: number | readonly BackendConfig[]): Pool {
  const configs =
    typeof backends === "number"
      ? Array.from({ length: backends }, (_, index) =>
          backendConfig(String.fromCharCode(97 + index)),
        )
      : backends;
  return new Pool(
    poolConfig(configs),
    newCounters(configs.length),
    configs.map((_, index) => index),
  );
}
