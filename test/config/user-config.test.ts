import { expect, test } from "bun:test";
import type { ConfigInput } from "../../src/config/schema.ts";
import { configSchema } from "../../src/config/schema.ts";
import type { UserConfig } from "../../src/config/user-config.ts";

type DeepReadonly<T> = T extends (infer Item)[] | readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;

/** Each has what the other has: `bun check` fails here when one of them changes alone. */
const _fromUser = (config: DeepReadonly<UserConfig>): DeepReadonly<ConfigInput> => config;
const _fromSchema = (config: DeepReadonly<ConfigInput>): DeepReadonly<UserConfig> => config;

/** Assignability lets a key pass that only one of them has, so keys are compared by name. */
type KeyPaths<T> = T extends readonly (infer Item)[]
  ? KeyPaths<Item>
  : T extends object
    ? { [K in keyof T & string]-?: Name<K> | `${Name<K>}.${KeyPaths<NonNullable<T[K]>>}` }[keyof T &
        string]
    : never;
/** A free name would take in every path below it. */
type Name<K extends string> = string extends K ? "*" : K;
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
const _sameKeys: Same<KeyPaths<UserConfig>, KeyPaths<ConfigInput>> = true;

test("what the type allows, written out in full, the schema accepts", () => {
  const config: UserConfig = {
    $schema: "./leastwise.schema.json",
    listen: [{ address: "0.0.0.0:8080" }, { unix: "/run/leastwise.sock" }],
    pools: {
      web: {
        backends: [
          "http://10.0.0.1:3000",
          {
            url: "unix:/run/b.sock",
            id: "b",
            weight: 2,
            labels: { zone: "b" },
            maxInFlight: 100,
            backup: true,
          },
        ],
        strategy: { use: "round-robin", options: { any: ["thing"] } },
        shadow: ["./candidate.ts", { use: "p2c", options: { choices: 2 } }],
        health: {
          path: "/health?full=1",
          port: 3001,
          host: "health.internal",
          headers: { "x-probe": "1" },
          method: "HEAD",
          interval: "1s",
          timeout: "500ms",
          rise: 1,
          fall: 1,
          jitter: 0,
          status: 204,
          body: "ok",
        },
        ejection: { failures: 1, base: "1s", max: "1m", maxPercent: 100 },
        retry: { attempts: 3, budget: 0.5, on: ["timeout"] },
        timeouts: { connect: "1s", firstByte: "1s", idle: "1s", request: "10s" },
        connections: { maxIdle: 0, idle: "1s", maxAge: "1h" },
        body: { max: "1MB" },
        hostHeader: "backend",
        headers: {
          request: { set: { "x-a": "1" }, add: { "X-B": "" }, remove: ["x-c"] },
          response: { set: { "x-a": "1" }, add: { "X-B": "2" }, remove: ["Server"] },
        },
        affinity: { cookie: "session", ttl: "1m", secret: "0123456789abcdef" },
        slowStart: { window: "10s", minWeight: 0.5, aggression: 2 },
      },
      off: { backends: ["http://10.0.0.2"], health: false, ejection: false, retry: false },
    },
    routes: [
      { host: "*.example.com", path: "/v1/*", pool: "web", stripPrefix: true },
      { pool: "off" },
    ],
    trustedProxies: ["10.0.0.0/8", "2001:db8::1", "unix"],
    clientConnections: { max: 1000, maxPerAddress: 100 },
    requestId: false,
    admin: { address: "unix:/run/admin.sock", token: "secret", hosts: ["admin.example.com"] },
    workers: 2,
    shutdown: { delay: "1s", grace: "10s" },
    telemetry: {
      disabled: false,
      trust: "always",
      serviceName: "edge",
      resourceAttributes: { "deployment.environment.name": "staging" },
      propagators: ["tracecontext", "baggage"],
      knownMethods: ["GET", "PURGE"],
      logLevel: "info",
      traces: {
        exporter: "otlp",
        sampler: "parentbased_traceidratio",
        ratio: 0.1,
        batch: { delay: "1s", timeout: "10s", maxQueue: 1000, maxBatch: 100 },
        limits: {
          attributes: 64,
          attributeLength: 1000,
          events: 32,
          links: 8,
          eventAttributes: 16,
          linkAttributes: 4,
        },
        otlp: { endpoint: "https://traces.example.com/v1/traces" },
      },
      metrics: {
        exporter: "prometheus",
        interval: "30s",
        timeout: "10s",
        otlp: { endpoint: "https://metrics.example.com/v1/metrics" },
      },
      otlp: {
        endpoint: "https://collector.example.com:4317",
        protocol: "grpc",
        headers: { authorization: "Bearer a" },
        timeout: "5s",
        compression: "gzip",
        certificate: "ca.pem",
        clientKey: "key.pem",
        clientCertificate: "cert.pem",
      },
    },
    accessLog: {
      log: "all",
      file: "access.log",
      format: "json",
      redactQuery: ["token"],
      requestHeaders: ["User-Agent"],
    },
  };
  expect([_sameKeys, _fromUser(config) === config, _fromSchema(config) === config]).toEqual([
    true,
    true,
    true,
  ]);
  expect(configSchema.safeParse(config).error?.issues).toBeUndefined();
});
