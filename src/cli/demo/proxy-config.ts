import type { RunningBackend } from "./backends.ts";
import { absoluteStrategy } from "./check-strategies.ts";
import type { RowPlan } from "./demo-report.ts";

export interface ProxyConfigOptions {
  readonly row: RowPlan;
  readonly backends: readonly RunningBackend[];
  /** `host:port`. */
  readonly listen: string;
  readonly admin: string;
}

/** The content of the config file with which a row's proxy is started: what any user could write. */
export function createProxyConfig({ row, backends, listen, admin }: ProxyConfigOptions): object {
  const guards = row.guards === "off" ? { ejection: false, health: false, retry: false } : {};
  return {
    listen: [{ address: listen }],
    admin: { address: admin },
    shutdown: { grace: "1s" },
    pools: {
      demo: {
        backends: backends.map(({ name, url }) => ({ id: name, url })),
        strategy: absoluteStrategy(row.strategy),
        ...guards,
      },
    },
  };
}
