import type { TelemetryConfig } from "../config/config.ts";

/** Who sends telemetry: one running program, whatever number of processes it has. */
export interface ServiceIdentity {
  readonly version: string;
  /** A UUID of this run. */
  readonly instanceId: string;
  /** The master's. */
  readonly pid: number;
}

/** The attributes of the one resource that master and workers are. Nothing of the machine is in them. */
export function resourceAttributes(
  config: TelemetryConfig,
  service: ServiceIdentity,
): Record<string, string | number> {
  return {
    "service.version": service.version,
    "service.instance.id": service.instanceId,
    "process.pid": service.pid,
    ...config.resourceAttributes,
    "service.name": config.serviceName,
  };
}
