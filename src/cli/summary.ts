import { formatAddress } from "../config/address.ts";
import { countBackends, SPARE_BACKENDS } from "../config/capacity.ts";
import type { BackendConfig, PoolConfig, StrategyConfig } from "../config/config.ts";
import { formatDuration } from "../config/units.ts";
import type { Provisioned } from "../process/provision.ts";
import type { Environment } from "../telemetry/settings.ts";
import { describeTarget } from "../telemetry/wanted.ts";

/** What would run, as plain data: the configuration with everything filled in, the token left out. */
export function summarise({ config, configFile, strategies }: Provisioned) {
  const { token, ...admin } = config.admin;
  return {
    configFile,
    config: { ...config, admin: { ...admin, token: token === null ? null : "set" } },
    strategies: Object.fromEntries(
      Object.entries(strategies).map(([pool, { description }]) => [pool, description]),
    ),
  };
}

/** The same for people, short. */
export function renderSummary(provisioned: Provisioned, env: Environment): string {
  const { config, configFile } = provisioned;
  const workers = config.workers === 1 ? "1 worker" : `${config.workers} workers`;
  const backends = countBackends(config);
  const traces = describeTarget(env);
  const lines = [
    `ok: ${configFile ?? "no config file"}`,
    `listen   ${config.listen.map(({ address }) => formatAddress(address)).join(", ")} with ${workers}`,
    `admin    ${formatAddress(config.admin.address)}`,
    `traces   ${traces === null ? "off" : `to ${traces}`}`,
    `capacity ${backends} backend${backends === 1 ? "" : "s"} over all pools, room for ${backends + SPARE_BACKENDS} after reloads`,
    ...config.pools.flatMap((pool) => renderPool(pool, provisioned)),
    ...config.routes.map(
      ({ host, path, pool }) => `route    ${host ?? "any host"} ${path ?? "any path"} -> ${pool}`,
    ),
  ];
  return `${lines.join("\n")}\n`;
}

function renderPool(pool: PoolConfig, { strategies }: Provisioned): string[] {
  const { health, ejection, retry } = pool;
  const description = strategies[pool.name]?.description;
  const probe = health?.path === null ? "a TCP connect" : `${health?.method} ${health?.path}`;
  return [
    `pool     ${pool.name}`,
    `  strategy ${description?.name ?? ""} ${description?.version ?? ""} (${origin(pool.strategy)})`,
    `  health   ${health ? `${probe} every ${formatDuration(health.intervalMs)}` : "no probes"}`,
    `  ejection ${ejection ? `after ${ejection.failures} failures, for ${formatDuration(ejection.baseMs)}` : "never"}`,
    `  retry    ${retry ? `${retry.attempts} attempts, on ${retry.on.join(", ")}` : "never"}`,
    ...pool.backends.map((backend) => `  backend  ${renderBackend(backend)}`),
  ];
}

function origin(strategy: StrategyConfig): string {
  return strategy.kind === "file" ? strategy.file : "built-in";
}

function renderBackend({ id, url, weight, maxInFlight }: BackendConfig): string {
  const limit = maxInFlight === null ? "" : `, at most ${maxInFlight} in flight`;
  return `${id} at ${url}, weight ${weight}${limit}`;
}
