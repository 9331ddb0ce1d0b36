import type { TelemetryConfig } from "../../src/config/config.ts";
import { resolveConfig } from "../../src/config/resolve.ts";
import { overlayTelemetry } from "../../src/config/telemetry-environment.ts";
import type { UserTelemetry } from "../../src/config/user-config.ts";
import type { ServiceIdentity } from "../../src/telemetry/resource-attributes.ts";
import type { ExportTls } from "../../src/telemetry/tls-files.ts";

type Environment = Readonly<Record<string, string>>;

/** What a file's section and the environment come to, as at a start. */
export function telemetryConfig(
  section: UserTelemetry = {},
  env: Environment = {},
): TelemetryConfig {
  const pools = { web: { backends: ["http://127.0.0.1:9"] } };
  const { raw, problems } = overlayTelemetry({ pools, telemetry: section }, env, "/work");
  if (problems.length > 0) throw new Error(JSON.stringify(problems));
  const context = {
    baseDir: "/etc/leastwise",
    cpus: 1,
    platform: "linux",
    strategies: ["least-connections"],
  };
  return resolveConfig(raw, context).telemetry;
}

/** No file is named anywhere. */
export const noTls: ExportTls = { traces: {}, metrics: {} };

export const service: ServiceIdentity = {
  version: "1.2.3",
  instanceId: "627cc493-f310-47de-96bd-71410b7dec09",
  pid: 4711,
};
