/** The `telemetry` section and the `OTEL_*` variables, and what they come to together. */
import { describe, expect, test } from "bun:test";
import { attribute } from "../../src/config/overlay.ts";
import { resolveConfig } from "../../src/config/resolve.ts";
import { overlayTelemetry } from "../../src/config/telemetry-environment.ts";
import type { UserTelemetry } from "../../src/config/user-config.ts";
import { ConfigError } from "../../src/errors.ts";
import { telemetryConfig } from "../_support/telemetry-config.ts";

type Environment = Readonly<Record<string, string>>;

const endpoint = "http://c:4318";

describe("a signal is on", () => {
  const cases: readonly (readonly [
    UserTelemetry,
    Environment,
    traces: boolean,
    metrics: boolean,
  ])[] = [
    [{}, { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }, true, true],
    [{}, { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${endpoint}/v1/traces` }, true, false],
    [{}, { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `${endpoint}/v1/metrics` }, false, true],
    [{}, { OTEL_TRACES_EXPORTER: "otlp" }, true, false],
    [{}, { OTEL_TRACES_EXPORTER: "console" }, true, false],
    [{}, { OTEL_METRICS_EXPORTER: "otlp" }, false, true],
    [{}, { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_SDK_DISABLED: "false" }, true, true],
    [{}, { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_METRICS_EXPORTER: "none" }, true, false],
    [{}, { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_TRACES_EXPORTER: "none" }, false, true],
    [{}, { OTEL_METRICS_EXPORTER: "prometheus,otlp" }, false, true],
    [{ otlp: { endpoint } }, {}, true, true],
    [{ traces: { otlp: { endpoint } } }, {}, true, false],
    [{ metrics: { exporter: "console" } }, {}, false, true],
    [{ disabled: true, otlp: { endpoint } }, { OTEL_SDK_DISABLED: "false" }, true, true],
    [{ traces: { exporter: "none" } }, { OTEL_TRACES_EXPORTER: "otlp" }, true, false],
  ];
  test.each(cases)("with %j and %j: traces %p, metrics %p", (section, env, traces, metrics) => {
    const config = telemetryConfig(section, env);
    expect([config.traces !== null, config.metrics !== null]).toEqual([traces, metrics]);
  });
});

describe("nothing is on", () => {
  const cases: readonly (readonly [UserTelemetry, Environment])[] = [
    [{}, {}],
    [{}, { OTEL_EXPORTER_OTLP_ENDPOINT: " " }],
    [{}, { OTEL_SERVICE_NAME: "edge" }],
    [{}, { OTEL_TRACES_EXPORTER: "none" }],
    [{}, { OTEL_METRICS_EXPORTER: "prometheus" }],
    [{}, { OTEL_SDK_DISABLED: "true", OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }],
    [{ otlp: { endpoint } }, { OTEL_SDK_DISABLED: "TRUE" }],
    [{ otlp: { endpoint }, disabled: true }, {}],
    [{ otlp: { endpoint }, traces: { exporter: "none" }, metrics: { exporter: "prometheus" } }, {}],
  ];
  test.each(cases)("with %j and %j", (section, env) => {
    expect(telemetryConfig(section, env)).toMatchObject({ traces: null, metrics: null });
  });
});

test.each([
  ["while nothing is sent", {}],
  ["while the SDK is disabled", { OTEL_SDK_DISABLED: "true", OTEL_TRACES_EXPORTER: "otlp" }],
])("who we are and which methods we know counts %s: /metrics says it", (_situation, env) => {
  const file = { serviceName: "from-file", resourceAttributes: { a: "file", b: "file" } };
  const config = telemetryConfig(file, {
    ...env,
    OTEL_SERVICE_NAME: "edge",
    OTEL_RESOURCE_ATTRIBUTES: "b=environment",
    OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS: "GET,PURGE",
    OTEL_LOG_LEVEL: "debug",
  });
  expect(config).toMatchObject({
    serviceName: "edge",
    resourceAttributes: { a: "file", b: "environment" },
    knownMethods: ["GET", "PURGE"],
    logLevel: "warn",
    traces: null,
    metrics: null,
  });
});

test("an endpoint alone gives the defaults of the specification", () => {
  expect(telemetryConfig({}, { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint })).toEqual({
    trust: "private",
    propagate: true,
    knownMethods: null,
    serviceName: "leastwise",
    resourceAttributes: {},
    logLevel: "warn",
    traces: {
      target: {
        protocol: "http/protobuf",
        url: "http://c:4318/v1/traces",
        headers: {},
        timeoutMs: 10_000,
        compression: "none",
        certificate: null,
        clientKey: null,
        clientCertificate: null,
      },
      sampler: "parentbased_always_on",
      ratio: 1,
      batch: { delayMs: 5000, timeoutMs: 30_000, maxQueue: 2048, maxBatch: 512 },
      limits: {
        attributes: 128,
        attributeLength: null,
        events: 128,
        links: 128,
        eventAttributes: 128,
        linkAttributes: 128,
      },
    },
    metrics: {
      target: {
        protocol: "http/protobuf",
        url: "http://c:4318/v1/metrics",
        headers: {},
        timeoutMs: 10_000,
        compression: "none",
        certificate: null,
        clientKey: null,
        clientCertificate: null,
      },
      intervalMs: 60_000,
      timeoutMs: 30_000,
    },
  });
});

/** The same said in the file and in the environment. */
const twins: readonly (readonly [situation: string, UserTelemetry, Environment])[] = [
  [
    "OTLP for all signals",
    {
      otlp: {
        endpoint: "https://c:4317",
        protocol: "grpc",
        headers: { authorization: "Bearer a b", "x-tenant": "7" },
        timeout: "2s",
        compression: "gzip",
        certificate: "/pki/ca.pem",
        clientKey: "/pki/key.pem",
        clientCertificate: "/pki/cert.pem",
      },
    },
    {
      OTEL_EXPORTER_OTLP_ENDPOINT: "https://c:4317",
      OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
      OTEL_EXPORTER_OTLP_HEADERS: "Authorization=Bearer%20a%20b, x-tenant=7",
      OTEL_EXPORTER_OTLP_TIMEOUT: "2000",
      OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
      OTEL_EXPORTER_OTLP_CERTIFICATE: "/pki/ca.pem",
      OTEL_EXPORTER_OTLP_CLIENT_KEY: "/pki/key.pem",
      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: "/pki/cert.pem",
    },
  ],
  [
    "OTLP that differs by signal",
    {
      otlp: { endpoint, headers: { a: "1", b: "1" } },
      traces: { otlp: { endpoint: "http://t/x", protocol: "http/json", headers: { b: "2" } } },
      metrics: { otlp: { endpoint: "http://m/", timeout: "1s", compression: "gzip" } },
    },
    {
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      OTEL_EXPORTER_OTLP_HEADERS: "a=1,b=1",
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://t/x",
      OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: "b=2",
      OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://m/",
      OTEL_EXPORTER_OTLP_METRICS_TIMEOUT: "1000",
      OTEL_EXPORTER_OTLP_METRICS_COMPRESSION: "gzip",
    },
  ],
  [
    "sampling, batches and limits",
    {
      traces: {
        exporter: "console",
        sampler: "traceidratio",
        ratio: 0.25,
        batch: { delay: "0s", timeout: "1s", maxQueue: 100, maxBatch: 10 },
        limits: {
          attributes: 1,
          attributeLength: 2,
          events: 3,
          links: 4,
          eventAttributes: 5,
          linkAttributes: 6,
        },
      },
    },
    {
      OTEL_TRACES_EXPORTER: "console",
      OTEL_TRACES_SAMPLER: "traceidratio",
      OTEL_TRACES_SAMPLER_ARG: "0.25",
      OTEL_BSP_SCHEDULE_DELAY: "0",
      OTEL_BSP_EXPORT_TIMEOUT: "1000",
      OTEL_BSP_MAX_QUEUE_SIZE: "100",
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "10",
      OTEL_ATTRIBUTE_COUNT_LIMIT: "64",
      OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT: "1",
      OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: "2",
      OTEL_SPAN_EVENT_COUNT_LIMIT: "3",
      OTEL_SPAN_LINK_COUNT_LIMIT: "4",
      OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT: "5",
      OTEL_LINK_ATTRIBUTE_COUNT_LIMIT: "6",
    },
  ],
  [
    "metrics",
    { metrics: { exporter: "otlp", interval: "5s", timeout: "1s" } },
    {
      OTEL_METRICS_EXPORTER: "otlp",
      OTEL_METRIC_EXPORT_INTERVAL: "5000",
      OTEL_METRIC_EXPORT_TIMEOUT: "1000",
    },
  ],
  [
    "who we are and what is passed on",
    {
      traces: { exporter: "otlp" },
      serviceName: "edge",
      resourceAttributes: { "deployment.environment.name": "a,b", team: "x" },
      propagators: ["none"],
      knownMethods: ["GET", "PURGE"],
      logLevel: "debug",
    },
    {
      OTEL_TRACES_EXPORTER: "otlp",
      OTEL_SERVICE_NAME: "edge",
      OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=a%2Cb,team=x",
      OTEL_PROPAGATORS: "none",
      OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS: "GET,PURGE",
      OTEL_LOG_LEVEL: "DEBUG",
    },
  ],
];

test.each(twins)("the file says the same as the environment: %s", (_situation, section, env) => {
  const fromFile = telemetryConfig(section);
  expect(fromFile).toEqual(telemetryConfig({}, env));
  // Not because both came to nothing.
  expect(fromFile).not.toEqual(telemetryConfig());
});

describe("the environment wins over the file", () => {
  test("key by key", () => {
    const config = telemetryConfig(
      {
        serviceName: "from-file",
        resourceAttributes: { a: "file", b: "file" },
        otlp: { endpoint: "http://file:4318", protocol: "http/json", headers: { a: "1", b: "1" } },
        traces: { sampler: "always_on" },
      },
      {
        OTEL_SERVICE_NAME: "from-environment",
        OTEL_RESOURCE_ATTRIBUTES: "b=environment",
        OTEL_EXPORTER_OTLP_ENDPOINT: "http://environment:4318",
        OTEL_EXPORTER_OTLP_HEADERS: "b=2",
      },
    );
    expect(config).toMatchObject({
      serviceName: "from-environment",
      resourceAttributes: { a: "file", b: "environment" },
      traces: {
        sampler: "always_on",
        target: {
          url: "http://environment:4318/v1/traces",
          protocol: "http/json",
          headers: { a: "1", b: "2" },
        },
      },
    });
  });

  test("a service name among the attributes counts, but less than the variable for it", () => {
    const file = { serviceName: "from-file", traces: { exporter: "otlp" } } as const;
    const attributes = { OTEL_RESOURCE_ATTRIBUTES: "service.name=among,x=1" };
    expect(telemetryConfig(file, attributes)).toMatchObject({
      serviceName: "among",
      resourceAttributes: { x: "1" },
    });
    expect(telemetryConfig(file, { ...attributes, OTEL_SERVICE_NAME: "alone" }).serviceName).toBe(
      "alone",
    );
  });

  test("a path is relative to where it was written", () => {
    const { traces } = telemetryConfig(
      { otlp: { endpoint, certificate: "ca.pem", clientKey: "key.pem" } },
      { OTEL_EXPORTER_OTLP_CLIENT_KEY: "mine.pem" },
    );
    expect(traces?.target).toMatchObject({
      certificate: "/etc/leastwise/ca.pem",
      clientKey: "/work/mine.pem",
    });
  });
});

test("the sampler's argument counts only with a sampler that takes one", () => {
  const on = { OTEL_TRACES_EXPORTER: "otlp" };
  const sampled = (env: Environment, section: UserTelemetry = {}) => {
    const { traces } = telemetryConfig(section, { ...on, ...env });
    return [traces?.sampler, traces?.ratio];
  };
  expect(sampled({ OTEL_TRACES_SAMPLER_ARG: "0.1" })).toEqual(["parentbased_always_on", 1]);
  expect(sampled({ OTEL_TRACES_SAMPLER: "always_on", OTEL_TRACES_SAMPLER_ARG: "x" })).toEqual([
    "always_on",
    1,
  ]);
  expect(sampled({}, { traces: { ratio: 0.5 } })).toEqual(["parentbased_traceidratio", 0.5]);
  expect(sampled({ OTEL_TRACES_SAMPLER_ARG: "0.1" }, { traces: { ratio: 0.5 } })).toEqual([
    "parentbased_traceidratio",
    0.1,
  ]);
});

test.each([
  [{}, "http://localhost:4318/v1/traces"],
  [{ protocol: "grpc" }, "http://localhost:4317"],
  [{ endpoint: "http://c:4318/" }, "http://c:4318/v1/traces"],
  [{ endpoint: "http://c:4318/otlp/" }, "http://c:4318/otlp/v1/traces"],
] as const)("spans go where %j says: %s", (otlp, url) => {
  const { traces } = telemetryConfig({ otlp, traces: { exporter: "otlp" } });
  expect(traces?.target?.url).toBe(url);
});

test("a timeout of the metrics' export ends with its interval", () => {
  const { metrics } = telemetryConfig({ metrics: { exporter: "otlp", interval: "10s" } });
  expect(metrics?.timeoutMs).toBe(10_000);
});

function problemsOf(section: unknown, env: Environment): string[] {
  const pools = { web: { backends: ["http://127.0.0.1:9"] } };
  const laid = overlayTelemetry({ pools, telemetry: section }, env, "/work");
  const problems = [...laid.problems];
  try {
    const strategies = ["least-connections"];
    resolveConfig(laid.raw, { baseDir: "/", cpus: 1, platform: "linux", strategies });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems.push(...error.problems.map((problem) => attribute(problem, laid.origins)));
  }
  return problems.map(({ path, message }) => `${path}: ${message}`);
}

describe("each mistake is named with its place, what was found and what is allowed", () => {
  const on = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint };
  const inEnvironment: readonly (readonly [Environment, string])[] = [
    [
      { OTEL_TRACES_EXPORTER: "zipkin" },
      'OTEL_TRACES_EXPORTER: found "zipkin", allowed "otlp" or "console" or "none"',
    ],
    [
      { OTEL_METRICS_EXPORTER: "otlp,console" },
      'OTEL_METRICS_EXPORTER: found "otlp,console", allowed "otlp" or "console" or "prometheus" or "none"',
    ],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4318" },
      'OTEL_EXPORTER_OTLP_ENDPOINT: found "collector:4318", allowed a URL such as http://127.0.0.1:4318',
    ],
    [
      { ...on, OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: "http" },
      'OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: found "http", allowed "http/protobuf" or "http/json" or "grpc"',
    ],
    [
      { ...on, OTEL_EXPORTER_OTLP_TIMEOUT: "10s" },
      'OTEL_EXPORTER_OTLP_TIMEOUT: found "10s", allowed a whole number of milliseconds',
    ],
    [
      { ...on, OTEL_EXPORTER_OTLP_HEADERS: "s3cret" },
      "OTEL_EXPORTER_OTLP_HEADERS: found a text, allowed key=value, more of them after commas",
    ],
    [
      { ...on, OTEL_EXPORTER_OTLP_HEADERS: "authorization=s3cret%0a" },
      "OTEL_EXPORTER_OTLP_HEADERS: found a text, allowed a header value without line breaks and other control characters, none above U+00FF",
    ],
    // The name was forgotten.
    [
      { ...on, OTEL_EXPORTER_OTLP_HEADERS: "Basic dXNlcjpwYXNz==" },
      "OTEL_EXPORTER_OTLP_HEADERS: found a text, allowed key=value, more of them after commas",
    ],
    [
      { ...on, OTEL_TRACES_SAMPLER: "jaeger_remote" },
      'OTEL_TRACES_SAMPLER: found "jaeger_remote", allowed "always_on" or "always_off" or "traceidratio" or "parentbased_always_on" or "parentbased_always_off" or "parentbased_traceidratio"',
    ],
    [
      { ...on, OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "10%" },
      'OTEL_TRACES_SAMPLER_ARG: found "10%", allowed a number from 0 to 1',
    ],
    [
      { ...on, OTEL_PROPAGATORS: "b3" },
      'OTEL_PROPAGATORS: found "b3", allowed "tracecontext" or "baggage" or "none"',
    ],
    [
      { ...on, OTEL_BSP_MAX_QUEUE_SIZE: "many" },
      'OTEL_BSP_MAX_QUEUE_SIZE: found "many", allowed a whole number from 1 to 65536',
    ],
    [
      { ...on, OTEL_METRICS_EXPORTER: "prometheus", OTEL_EXPORTER_PROMETHEUS_PORT: "9464" },
      'OTEL_EXPORTER_PROMETHEUS_PORT: found "9464", but /metrics is on the admin address: set --admin or admin.address instead',
    ],
  ];
  test.each(inEnvironment)("%j", (env, problem) => {
    expect(problemsOf({}, env)).toEqual([problem]);
  });

  const inFile: readonly (readonly [unknown, string])[] = [
    [
      { otlp: { endpoint: "http://me:s3cret@c:4318" } },
      'telemetry.otlp.endpoint: found "http://…@c:4318" (with credentials), allowed a URL such as http://127.0.0.1:4318; put credentials into headers',
    ],
    [
      { otlp: { protcol: "grpc" } },
      'telemetry.otlp.protcol: unknown key, allowed endpoint, protocol, headers, timeout, compression, certificate, clientKey, clientCertificate; did you mean "protocol"?',
    ],
    [{ trust: "all" }, 'telemetry.trust: found "all", allowed "private" or "always" or "never"'],
    [{ traces: { ratio: 10 } }, "telemetry.traces.ratio: found 10, allowed a number from 0 to 1"],
    [
      { metrics: { interval: "60" } },
      'telemetry.metrics.interval: found "60", allowed a duration such as "250ms", "5s", "1m" or "1h" of at least 1ms',
    ],
    [
      { otlp: { headers: { "Basic dXNlcjpwYXNz": "=" } } },
      "telemetry.otlp.headers: found a text, allowed a header name",
    ],
    [
      { otlp: { headers: { authorization: "s3cret\n" } } },
      "telemetry.otlp.headers.authorization: found a text, allowed a header value without line breaks and other control characters, none above U+00FF",
    ],
  ];
  test.each(inFile)("%j", (section, problem) => {
    expect(problemsOf(section, {})).toEqual([problem]);
  });

  test("a mistake of the file's is seen though the environment says something, too", () => {
    expect(problemsOf({ otlp: "http://c" }, { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint })).toEqual([
      expect.stringContaining("telemetry.otlp: found"),
    ]);
  });

  test("what /metrics says of us is checked in any case", () => {
    expect(problemsOf({}, { OTEL_RESOURCE_ATTRIBUTES: "team" })).toEqual([
      'OTEL_RESOURCE_ATTRIBUTES: found "team", allowed key=value, more of them after commas',
    ]);
  });

  test("variables for other programs are no mistake while nothing is to be sent", () => {
    expect(problemsOf({}, { OTEL_PROPAGATORS: "b3", OTEL_TRACES_SAMPLER: "x" })).toEqual([]);
    expect(problemsOf({}, { ...on, OTEL_PROPAGATORS: "b3", OTEL_SDK_DISABLED: "true" })).toEqual(
      [],
    );
  });
});
