import { describe, expect, test } from "bun:test";
import { knownMethods } from "../../src/telemetry/request-method.ts";
import { traceSettings } from "../../src/telemetry/settings.ts";
import { describeTarget, telemetryProblems, telemetryWanted } from "../../src/telemetry/wanted.ts";

describe("telemetry is wanted", () => {
  test.each([
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318" }],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://127.0.0.1:4318/v1/traces" }],
    [{ OTEL_TRACES_EXPORTER: "otlp" }],
    [{ OTEL_TRACES_EXPORTER: "console" }],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4318", OTEL_SDK_DISABLED: "false" }],
  ])("with %j", (env) => {
    expect(telemetryWanted(env)).toBe(true);
  });

  test.each([
    [{}],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: "" }],
    [{ OTEL_SERVICE_NAME: "edge" }],
    [{ OTEL_TRACES_EXPORTER: "none" }],
    [{ OTEL_TRACES_EXPORTER: "none", OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4318" }],
    [{ OTEL_SDK_DISABLED: "true", OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4318" }],
    [{ OTEL_SDK_DISABLED: "TRUE", OTEL_TRACES_EXPORTER: "otlp" }],
    [{ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://c:4318/v1/metrics" }],
  ])("not with %j", (env) => {
    expect(telemetryWanted(env)).toBe(false);
  });
});

describe("settings", () => {
  test("default to OTLP over http/protobuf with propagation", () => {
    expect(traceSettings({})).toEqual({
      settings: { exporter: "otlp", protocol: "http/protobuf", propagate: true },
      problems: [],
    });
  });

  test("the protocol for traces wins over the general one", () => {
    const { settings, problems } = traceSettings({
      OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
      OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "http/json",
    });
    expect(settings.protocol).toBe("http/json");
    expect(problems).toEqual([]);
  });

  test("grpc is refused, saying what to set instead", () => {
    const { problems } = traceSettings({ OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" });
    expect(problems).toEqual([
      {
        path: "OTEL_EXPORTER_OTLP_PROTOCOL",
        message:
          'found "grpc", allowed http/protobuf or http/json; gRPC is not supported: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, port 4318',
      },
    ]);
  });

  test("all mistakes come at once", () => {
    const { problems } = traceSettings({
      OTEL_TRACES_EXPORTER: "zipkin",
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/xml",
      OTEL_EXPORTER_OTLP_ENDPOINT: "127.0.0.1:4318",
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://",
      OTEL_PROPAGATORS: "tracecontext,b3",
    });
    expect(problems.map(({ path }) => path)).toEqual([
      "OTEL_TRACES_EXPORTER",
      "OTEL_EXPORTER_OTLP_PROTOCOL",
      "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
      "OTEL_EXPORTER_OTLP_ENDPOINT",
      "OTEL_PROPAGATORS",
    ]);
    for (const { message } of problems) expect(message).toMatch(/^found ".*", allowed /);
  });

  test.each([
    [{ OTEL_TRACES_SAMPLER: "foo" }, 'OTEL_TRACES_SAMPLER: found "foo", allowed always_on, '],
    [
      { OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "7" },
      'OTEL_TRACES_SAMPLER_ARG: found "7", allowed a number from 0 to 1',
    ],
    [
      { OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "half" },
      'OTEL_TRACES_SAMPLER_ARG: found "half", allowed a number from 0 to 1',
    ],
  ])("a sampler that would be passed over is refused: %j", (env, told) => {
    const problems = traceSettings(env).problems.map(({ path, message }) => `${path}: ${message}`);
    expect(problems).toEqual([expect.stringContaining(told)]);
  });

  test.each([
    [{ OTEL_TRACES_SAMPLER: "always_off", OTEL_TRACES_SAMPLER_ARG: "unused" }],
    [{ OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "0.25" }],
    [{ OTEL_TRACES_SAMPLER: "traceidratio" }],
  ])("a sampler that works is none: %j", (env) => {
    expect(traceSettings(env).problems).toEqual([]);
  });

  test("the target of the spans is told as the SDK sends them, without credentials", () => {
    const general = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://me:secret@127.0.0.1:4318/base/" };
    expect(describeTarget(general)).toBe("http://127.0.0.1:4318/base/v1/traces");
    const own = { ...general, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "https://c/spans?key=secret" };
    expect(describeTarget(own)).toBe("https://c/spans");
    expect(describeTarget({ OTEL_TRACES_EXPORTER: "otlp" })).toBe(
      "http://localhost:4318/v1/traces",
    );
    expect(describeTarget({ OTEL_TRACES_EXPORTER: "console" })).toBe("the console");
    expect(describeTarget({})).toBeNull();
  });

  test("mistakes do not matter while telemetry is off", () => {
    const env = { OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" };
    expect(telemetryProblems(env)).toEqual([]);
    expect(telemetryProblems({ ...env, OTEL_TRACES_EXPORTER: "otlp" })).toHaveLength(1);
  });

  test("propagation is off with OTEL_PROPAGATORS=none", () => {
    expect(traceSettings({ OTEL_PROPAGATORS: "none" }).settings.propagate).toBe(false);
  });

  test("the list of known methods can be replaced", () => {
    const methods = knownMethods({ OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS: "GET, BREW" });
    expect([...methods]).toEqual(["GET", "BREW"]);
    expect(knownMethods({}).has("QUERY")).toBe(true);
  });
});
