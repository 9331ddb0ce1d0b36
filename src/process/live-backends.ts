import type { PoolConfig } from "../config/config.ts";
import {
  configOf,
  hasSlowStart,
  isGone,
  PoolBackend,
  reconfigure,
  rowOf,
} from "../pool/backend.ts";
import type { Counters } from "../pool/counters.ts";
import { Pool } from "../pool/pool.ts";
import { BackendTransport } from "../transport/backend-transport.ts";
import type { SocketCalls } from "../transport/socket-calls.ts";
import { backendKey } from "./row-table.ts";

export interface LiveBackendsOptions {
  readonly counters: Counters;
  readonly worker: number;
  readonly socketCalls: SocketCalls | null;
  /** Called before a connection to a backend is opened. */
  readonly onOpening: () => void;
  readonly now: () => number;
}

interface Live {
  readonly backend: PoolBackend;
  readonly transport: BackendTransport;
  /** What `transport` was made for. */
  readonly settings: Pick<PoolConfig, "timeouts" | "connections">;
}

/** Backends of a plan that is not in force yet. */
export interface PreparedBackends {
  readonly live: ReadonlyMap<string, Live>;
  /** By name. */
  readonly pools: ReadonlyMap<string, Pool>;
  readonly transports: ReadonlyMap<PoolBackend, BackendTransport>;
}

/**
 * The backends of a worker with their connections, which outlive a plan: who stays in a pool, with
 * its id and URL, keeps its object and its idle connections.
 */
export class LiveBackends {
  readonly #options: LiveBackendsOptions;
  /** Connections by row: a backend's old transport may still have some while its next one works. */
  readonly #connections = new Map<number, { open: number; idle: number }>();
  #live: ReadonlyMap<string, Live> = new Map();

  constructor(options: LiveBackendsOptions) {
    this.#options = options;
  }

  /** What is there is used again, what is not is made; nothing that serves is touched. */
  prepare(
    configs: readonly PoolConfig[],
    rows: Readonly<Record<string, readonly number[]>>,
  ): PreparedBackends {
    const live = new Map<string, Live>();
    const transports = new Map<PoolBackend, BackendTransport>();
    const pools = new Map(
      configs.map((config) => {
        const pool = new Pool(
          config,
          this.#options.counters,
          rows[config.name] ?? [],
          (each, row) => {
            const key = backendKey(config.name, each);
            const found = this.#live.get(key);
            const backend =
              found !== undefined && rowOf(found.backend) === row && !isGone(found.backend)
                ? found.backend
                : new PoolBackend(each, this.#options.counters, row, config.slowStart !== null);
            const transport =
              found?.backend === backend && sameSettings(found.settings, config)
                ? found.transport
                : this.#connect(config, each.address, row);
            live.set(key, { backend, transport, settings: config });
            transports.set(backend, transport);
            return backend;
          },
        );
        return [config.name, pool];
      }),
    );
    return { live, pools, transports };
  }

  /** Closes what is gone. Returns the pools in which a backend that stays was changed. */
  commit({ live, pools }: PreparedBackends): Pool[] {
    const changed = [...pools.values()].filter(takeChanges);
    const kept = new Set([...live.values()].map(({ transport }) => transport));
    for (const { transport } of this.#live.values()) if (!kept.has(transport)) transport.close();
    this.#live = live;
    return changed;
  }

  closeIdle(): void {
    for (const { transport } of this.#live.values()) transport.closeIdle();
  }

  close(): void {
    for (const { transport } of this.#live.values()) transport.close();
  }

  #connect(
    { timeouts, connections }: PoolConfig,
    address: PoolConfig["backends"][number]["address"],
    row: number,
  ): BackendTransport {
    const { counters, worker, socketCalls, onOpening, now } = this.#options;
    let before = { open: 0, idle: 0 };
    return new BackendTransport({
      address,
      timeouts,
      connections,
      socketCalls,
      now,
      onOpening,
      onConnectionsChange: (open, idle) => {
        const sum = this.#connections.get(row) ?? { open: 0, idle: 0 };
        sum.open += open - before.open;
        sum.idle += idle - before.idle;
        before = { open, idle };
        this.#connections.set(row, sum);
        counters.setConnections(row, worker, sum.open, sum.idle);
      },
    });
  }
}

/** Whether the pool's config changes a backend that was there before. */
function takeChanges({ backends, config }: Pool): boolean {
  let changed = false;
  const slowStart = config.slowStart !== null;
  for (const [index, backend] of backends.entries()) {
    const wanted = config.backends[index];
    const same = hasSlowStart(backend) === slowStart && Bun.deepEquals(configOf(backend), wanted);
    if (wanted === undefined || same) continue;
    reconfigure(backend, wanted, slowStart);
    changed = true;
  }
  return changed;
}

function sameSettings(one: Live["settings"], two: Live["settings"]): boolean {
  return (
    Bun.deepEquals(one.timeouts, two.timeouts) && Bun.deepEquals(one.connections, two.connections)
  );
}
