import { describe, expect, test } from "bun:test";
import { knownMethods } from "../../src/telemetry/request-method.ts";
import { traceSettings } from "../../src/telemetry/settings.ts";
import { telemetryProblems, telemetryWanted } from "../../src/telemetry/wanted.ts";

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
          'found "grpc", allowed is http/protobuf or http/json; gRPC is not supported: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, port 4318',
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
