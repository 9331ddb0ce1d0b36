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

/**
 * Where spans go, for people: without credentials and query; null when telemetry is off. A general
 * endpoint is one that the SDK puts `v1/traces` behind (OTLP exporter specification).
 */
export function describeTarget(env: Environment): string | null {
  if (!telemetryWanted(env)) return null;
  if (setting(env, "OTEL_TRACES_EXPORTER") === "console") return "the console";
  const own = setting(env, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
  const url = new URL(own ?? traceEndpoint(env) ?? "http://localhost:4318");
  const path = own === null ? `${url.pathname.replace(/\/$/, "")}/v1/traces` : url.pathname;
  return `${url.origin}${path}`;
}

/** What is wrong with `OTEL_*` variables, so that a start fails before anything is bound. */
export function telemetryProblems(env: Environment): readonly Problem[] {
  return telemetryWanted(env) ? traceSettings(env).problems : [];
}
