import type { ExportTarget, TelemetryConfig } from "../config/config.ts";
import { ignoredVariables } from "../config/ignored-variables.ts";
import { valueAt } from "../config/problem.ts";
import type { Problem } from "../errors.ts";
import { portHint } from "./export-failure.ts";
import type { Signal } from "./export-watch.ts";
import { tlsFileProblems } from "./tls-files.ts";

/**
 * Where a signal goes, for people: without the query; null when it goes nowhere. Nothing of
 * OpenTelemetry is imported to find out.
 */
export function describeTarget(config: TelemetryConfig, signal: Signal): string | null {
  const wanted = config[signal];
  if (wanted === null) return null;
  const { target } = wanted;
  if (target === null) return "the console";
  const { origin, pathname } = new URL(target.url);
  return target.protocol === "grpc" ? `${origin} (gRPC)` : `${origin}${pathname}`;
}

/**
 * What only looking at the machine shows, so that a start fails before anything is bound. `raw` is
 * the configuration as it was written, which tells where a file was named: for one signal, or for both.
 */
export function telemetryProblems(config: TelemetryConfig, raw: unknown): readonly Problem[] {
  return targets(config).flatMap(([signal, target]) =>
    tlsFileProblems(target, (key) => {
      const own = valueAt(raw, ["telemetry", signal, "otlp", key]) !== undefined;
      return own ? `telemetry.${signal}.otlp.${key}` : `telemetry.otlp.${key}`;
    }),
  );
}

/** What is probably not meant: one line for each place, whatever goes there. */
export function telemetryWarnings(
  config: TelemetryConfig,
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  if (config.traces === null && config.metrics === null) return [];
  const hints = targets(config).flatMap(([, target]) => {
    const hint = portHint(target);
    return hint === null
      ? []
      : [`telemetry goes to ${new URL(target.url).host} by ${target.protocol}; ${hint}`];
  });
  return [...ignoredVariables(env), ...new Set(hints)];
}

function targets(config: TelemetryConfig): [Signal, Exclude<ExportTarget, null>][] {
  return (["traces", "metrics"] as const).flatMap((signal) => {
    const target = config[signal]?.target ?? null;
    return target === null ? [] : [[signal, target] as [Signal, typeof target]];
  });
}
