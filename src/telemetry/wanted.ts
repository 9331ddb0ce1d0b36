import type { Problem } from "../errors.ts";
import { type Environment, setting, traceEndpoint, traceSettings } from "./settings.ts";

/**
 * Whether the OpenTelemetry SDK should be loaded at all: true when the environment names an OTLP
 * endpoint (general or for traces) or a trace exporter other than `none`, and `OTEL_SDK_DISABLED`
 * is not `true`. Nothing of OpenTelemetry is imported to find out.
 */
export function telemetryWanted(env: Environment): boolean {
  if (setting(env, "OTEL_SDK_DISABLED")?.toLowerCase() === "true") return false;
  const exporter = setting(env, "OTEL_TRACES_EXPORTER");
  if (exporter !== null) return exporter !== "none";
  return traceEndpoint(env) !== null;
}

/** What is wrong with `OTEL_*` variables, so that a start fails before anything is bound. */
export function telemetryProblems(env: Environment): readonly Problem[] {
  return telemetryWanted(env) ? traceSettings(env).problems : [];
}
