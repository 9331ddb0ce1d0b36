import { RuntimeError } from "../errors.ts";
import { renderShadow } from "./shadow-table.ts";
import type { BackendStatus, PoolStatus, ReloadStatus, WorkerStatus } from "../admin/facts.ts";
import { renderTable } from "./table.ts";

export interface Status {
  readonly pools: readonly PoolStatus[];
  readonly workers: readonly WorkerStatus[];
  readonly reload: ReloadStatus;
}

/** `ask` returns one answer of the admin API. Throws RuntimeError when that is none. */
export async function readStatus(ask: (path: string) => Promise<unknown>): Promise<Status> {
  const [pools, workers, reload] = await Promise.all([
    ask("/api/v1/pools"),
    ask("/api/v1/workers"),
    ask("/api/v1/reload"),
  ]);
  if (!Array.isArray(pools) || !Array.isArray(workers) || !isReloadStatus(reload)) {
    throw new RuntimeError("whoever answers there is no admin API of leastwise");
  }
  return { pools: pools as PoolStatus[], workers: workers as WorkerStatus[], reload };
}

/** Tables to read, without colour: they are piped into grep more often than not. */
export function renderStatus({ pools, workers, reload }: Status): string {
  const parts = pools.flatMap((pool) => [
    `${poolLine(pool)}\n${backendTable(pool.backends)}`,
    ...pool.shadow.map((shadow) => renderShadow(pool.name, shadow)),
  ]);
  parts.push(workerTable(workers), reloadLines(reload));
  return `${parts.join("\n\n")}\n`;
}

function poolLine({ name, strategy, affinity }: PoolStatus): string {
  const notes = [
    `strategy ${strategy.name} ${strategy.version} (${strategy.source})`,
    ...(strategy.rolledBackFrom ? [`rolled back from ${rolledBackFrom(strategy)}`] : []),
    ...(strategy.quarantined ? ["QUARANTINED: least-connections answers"] : []),
    ...(strategy.faults > 0 ? [`${strategy.faults} faults`] : []),
    ...(affinity === null ? [] : [`sticky sessions by the cookie ${affinity}`]),
  ];
  return `pool ${name}: ${notes.join(", ")}`;
}

/** The name only where it was another one. */
function rolledBackFrom({ name, rolledBackFrom: from }: PoolStatus["strategy"]): string {
  if (from === null) return "";
  if (from.onlyOptions) return `${from.version} with other options`;
  return from.name === name ? from.version : `${from.name} ${from.version}`;
}

function backendTable(backends: readonly BackendStatus[]): string {
  return renderTable([
    ["BACKEND", "STATE", "WEIGHT", "IN FLIGHT", "REQUESTS", "FAILURES", "CONNECTIONS", "IDLE"],
    ...backends.map((backend) => [
      backend.id,
      stateOf(backend),
      weightOf(backend),
      String(backend.inFlight),
      String(backend.requests),
      String(backend.failures),
      String(backend.connections.open),
      String(backend.connections.idle),
    ]),
  ]);
}

function stateOf(backend: BackendStatus): string {
  const states = [backend.draining ? "draining" : backend.health];
  if (backend.backup) states.push("backup");
  if (backend.ejectedUntil !== null) states.push(`ejected until ${backend.ejectedUntil}`);
  return states.join(", ");
}

/** The share of its weight that a backend has in its slow start. */
function weightOf({ weight, effectiveWeight }: BackendStatus): string {
  if (effectiveWeight === weight) return String(weight);
  return `${weight} (${Math.round((effectiveWeight / weight) * 100)}%)`;
}

function workerTable(workers: readonly WorkerStatus[]): string {
  return renderTable([
    ["WORKER", "PID", "STATE", "STARTED", "RESTARTS", "MODULES", "REQUESTS NOW", "CONNECTIONS"],
    ...workers.map((worker) => [
      String(worker.id),
      String(worker.pid),
      worker.state,
      worker.startedAt,
      String(worker.restarts),
      String(worker.modules),
      worker.pendingRequests === null ? "no answer" : String(worker.pendingRequests),
      String(worker.clientConnections ?? "unknown"),
    ]),
  ]);
}

function reloadLines({ file, loadedAt, reloads, last }: ReloadStatus): string {
  const count = reloads === 1 ? "1 reload" : `${reloads} reloads`;
  const loaded = `config ${file ?? "from flags"}, loaded ${loadedAt}, ${count}`;
  if (last === null || last.ok) return loaded;
  const reasons = last.problems.map(({ path, message }) => `  ${path}: ${message}`);
  const failed = `LAST RELOAD FAILED ${last.at} (${last.trigger}), the configuration before goes on`;
  return [loaded, failed, ...reasons].join("\n");
}

function isReloadStatus(value: unknown): value is ReloadStatus {
  return typeof value === "object" && value !== null && "loadedAt" in value;
}
