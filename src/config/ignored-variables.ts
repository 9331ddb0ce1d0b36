import { show } from "./problem.ts";

/** What an `OTEL_*` variable asks for in vain, a line for each; for a start that exports something. */
export function ignoredVariables(
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const warnings: string[] = [];
  const disabled = env["OTEL_SDK_DISABLED"]?.trim() ?? "";
  // OpenTelemetry specification, "Boolean value": anything but true is false, and worth a warning.
  if (!["", "true", "false"].includes(disabled.toLowerCase())) {
    warnings.push(`OTEL_SDK_DISABLED: found ${show(disabled)}, which counts as false`);
  }
  const logs = env["OTEL_LOGS_EXPORTER"]?.trim() ?? "";
  if (!["", "none"].includes(logs.toLowerCase())) {
    warnings.push(
      `OTEL_LOGS_EXPORTER: found ${show(logs)}, but logs are not exported: they go to stderr`,
    );
  }
  return warnings;
}
