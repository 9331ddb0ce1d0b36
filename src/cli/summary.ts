import { formatAddress } from "../config/address.ts";
import { countBackends, SPARE_BACKENDS } from "../config/capacity.ts";
import type {
  AffinityConfig,
  BackendConfig,
  ExportTarget,
  PoolConfig,
  SlowStartConfig,
  StrategyConfig,
  TelemetryConfig,
} from "../config/config.ts";
import { formatDuration } from "../config/units.ts";
import type { Provisioned } from "../process/provision.ts";
import { describeTarget } from "../telemetry/export-targets.ts";

/** What would run, as plain data: the configuration with everything filled in, secrets left out. */
export function summarise({ config, configFile, strategies, shadows }: Provisioned) {
  const { token, ...admin } = config.admin;
  return {
    configFile,
    config: {
      ...config,
      pools: config.pools.map(withoutSecret),
      admin: { ...admin, token: token === null ? null : "set" },
      telemetry: withoutHeaders(config.telemetry),
    },
    strategies: Object.fromEntries(
      Object.entries(strategies).map(([pool, { description }]) => [pool, description]),
    ),
    shadows: Object.fromEntries(
      Object.entries(shadows).map(([pool, all]) => [
        pool,
        all.map(({ description }) => description),
      ]),
    ),
  };
}

/** The same for people, short. */
export function renderSummary(provisioned: Provisioned): string {
  const { config, configFile } = provisioned;
  const workers = config.workers === 1 ? "1 worker" : `${config.workers} workers`;
  const backends = countBackends(config);
  const traces = describeTarget(config.telemetry, "traces");
  const metrics = describeTarget(config.telemetry, "metrics");
  const lines = [
    `ok: ${configFile ?? "no config file"}`,
    `listen   ${config.listen.map(({ address }) => formatAddress(address)).join(", ")} with ${workers}`,
    `admin    ${formatAddress(config.admin.address)}`,
    `traces   ${traces === null ? "off" : `to ${traces}`}`,
    `metrics  ${metrics === null ? "at /metrics of the admin address" : `to ${metrics}, and at /metrics of the admin address`}`,
    `capacity ${backends} backend${backends === 1 ? "" : "s"} over all pools, room for ${backends + SPARE_BACKENDS} after reloads`,
    ...config.pools.flatMap((pool) => renderPool(pool, provisioned)),
    ...config.routes.map(
      ({ host, path, pool }) => `route    ${host ?? "any host"} ${path ?? "any path"} -> ${pool}`,
    ),
  ];
  return `${lines.join("\n")}\n`;
}

function withoutSecret(pool: PoolConfig): PoolConfig {
  const { affinity } = pool;
  if (affinity === null || affinity.secret === null) return pool;
  return { ...pool, affinity: { ...affinity, secret: "set" } };
}

/** Headers for a collector are mostly credentials. */
function withoutHeaders(telemetry: TelemetryConfig) {
  const { traces, metrics } = telemetry;
  return {
    ...telemetry,
    traces: traces && { ...traces, target: hidden(traces.target) },
    metrics: metrics && { ...metrics, target: hidden(metrics.target) },
  };
}

function hidden(target: ExportTarget) {
  if (target === null) return null;
  const names = Object.keys(target.headers);
  return { ...target, headers: Object.fromEntries(names.map((name) => [name, "set"])) };
}

function renderPool(pool: PoolConfig, { strategies, shadows }: Provisioned): string[] {
  const { health, ejection, retry, affinity, slowStart } = pool;
  const description = strategies[pool.name]?.description;
  const probe = health?.path === null ? "a TCP connect" : `${health?.method} ${health?.path}`;
  return [
    `pool     ${pool.name}`,
    `  strategy ${description?.name ?? ""} ${description?.version ?? ""} (${origin(pool.strategy)})`,
    ...(shadows[pool.name] ?? []).map(
      ({ description: { name, version, source } }) => `  shadow   ${name} ${version} (${source})`,
    ),
    `  health   ${health ? `${probe} every ${formatDuration(health.intervalMs)}` : "no probes"}`,
    `  ejection ${ejection ? `after ${ejection.failures} failures, for ${formatDuration(ejection.baseMs)}` : "never"}`,
    `  retry    ${retry ? `${retry.attempts} attempts, on ${retry.on.join(", ")}` : "never"}`,
    ...(affinity ? [`  affinity ${renderAffinity(affinity)}`] : []),
    ...(slowStart ? [`  slow start ${renderSlowStart(slowStart)}`] : []),
    ...pool.backends.map((backend) => `  backend  ${renderBackend(backend)}`),
  ];
}

function origin(strategy: StrategyConfig): string {
  return strategy.kind === "file" ? strategy.file : "built-in";
}

function renderAffinity({ cookie, ttlMs, secret }: AffinityConfig): string {
  const lasting = secret === null ? ", no secret: sessions end with the process" : "";
  return `by the cookie ${cookie}, for ${formatDuration(ttlMs)}${lasting}`;
}

function renderSlowStart({ windowMs, minWeight }: SlowStartConfig): string {
  return `over ${formatDuration(windowMs)}, from ${minWeight} of the weight`;
}

function renderBackend({ id, url, weight, maxInFlight, backup }: BackendConfig): string {
  const limit = maxInFlight === null ? "" : `, at most ${maxInFlight} in flight`;
  return `${id} at ${url}, weight ${weight}${limit}${backup ? ", backup" : ""}`;
}
