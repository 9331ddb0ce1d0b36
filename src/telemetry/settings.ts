/** What `OTEL_*` variables say, as far as we and not the SDK decide on it. Imports nothing of OpenTelemetry. */
import type { Problem } from "../errors.ts";

/** Environment variables by name, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Where spans go, as the environment says it; null when it says nothing. */
export function traceEndpoint(env: Environment): string | null {
  return (
    setting(env, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") ??
    setting(env, "OTEL_EXPORTER_OTLP_ENDPOINT")
  );
}

export type OtlpProtocol = "http/protobuf" | "http/json";

export interface TraceSettings {
  readonly exporter: "otlp" | "console";
  readonly protocol: OtlpProtocol;
  /** Whether trace context is read from and written to header fields. */
  readonly propagate: boolean;
}

/** The settings that we decide on ourselves; all other `OTEL_*` variables are the SDK's. */
export function traceSettings(env: Environment): {
  settings: TraceSettings;
  problems: readonly Problem[];
} {
  const problems: Problem[] = [];
  const exporter = setting(env, "OTEL_TRACES_EXPORTER") ?? "otlp";
  if (exporter !== "otlp" && exporter !== "console" && exporter !== "none") {
    problems.push({
      path: "OTEL_TRACES_EXPORTER",
      message: `found ${JSON.stringify(exporter)}, allowed otlp, console, none`,
    });
  }
  const protocol = otlpProtocol(env, problems);
  problems.push(...endpointProblems(env), ...samplerProblems(env));
  const propagators = list(env, "OTEL_PROPAGATORS") ?? ["tracecontext", "baggage"];
  for (const name of propagators) {
    if (name === "tracecontext" || name === "baggage" || name === "none") continue;
    problems.push({
      path: "OTEL_PROPAGATORS",
      message: `found ${JSON.stringify(name)}, allowed tracecontext, baggage, none`,
    });
  }
  return {
    settings: {
      exporter: exporter === "console" ? "console" : "otlp",
      protocol,
      propagate: propagators.includes("tracecontext"),
    },
    problems,
  };
}

function otlpProtocol(env: Environment, problems: Problem[]): OtlpProtocol {
  for (const path of ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"]) {
    const found = setting(env, path);
    if (found === null) continue;
    if (found === "http/protobuf" || found === "http/json") return found;
    const grpc =
      found === "grpc" ? `; gRPC is not supported: set ${path}=http/protobuf, port 4318` : "";
    problems.push({
      path,
      message: `found ${JSON.stringify(found)}, allowed http/protobuf or http/json${grpc}`,
    });
    break;
  }
  return "http/protobuf";
}

/** The SDK would report a bad URL only in its own log and send nothing. */
function endpointProblems(env: Environment): Problem[] {
  const problems: Problem[] = [];
  for (const path of ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"]) {
    const found = setting(env, path);
    if (found === null || (/^https?:\/\//i.test(found) && URL.canParse(found))) continue;
    problems.push({
      path,
      message: `found ${JSON.stringify(found)}, allowed a URL such as http://127.0.0.1:4318`,
    });
  }
  return problems;
}

const SAMPLERS = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio",
];

/** The SDK would report them only in its own log and sample everything. */
function samplerProblems(env: Environment): Problem[] {
  const sampler = setting(env, "OTEL_TRACES_SAMPLER");
  if (sampler === null) return [];
  if (!SAMPLERS.includes(sampler)) {
    const message = `found ${JSON.stringify(sampler)}, allowed ${SAMPLERS.join(", ")}`;
    return [{ path: "OTEL_TRACES_SAMPLER", message }];
  }
  const ratio = setting(env, "OTEL_TRACES_SAMPLER_ARG");
  if (!sampler.endsWith("traceidratio") || ratio === null) return [];
  const number = Number(ratio);
  if (number >= 0 && number <= 1) return [];
  const message = `found ${JSON.stringify(ratio)}, allowed a number from 0 to 1`;
  return [{ path: "OTEL_TRACES_SAMPLER_ARG", message }];
}

/** An empty variable counts as one that is not set (OpenTelemetry specification, "Environment variables"). */
export function setting(env: Environment, name: string): string | null {
  return env[name]?.trim() || null;
}

function list(env: Environment, name: string): string[] | null {
  const value = setting(env, name);
  return value === null
    ? null
    : value
        .split(",")
        .map((item) => item.trim())
        .filter((item) => item !== "");
}
