import type { Arrivals } from "./arrivals.ts";
import {
  type ClientConnection,
  type ConnectionFailure,
  type Exchange,
  openConnection,
} from "./client-connection.ts";

/** `ok`, a failure of the connection, or a status with who gave it: `backend_502`, `proxy_503`. */
export type Outcome = "ok" | ConnectionFailure | `${"backend" | "proxy"}_${number}`;

export interface LoadOptions {
  readonly port: number;
  readonly arrivals: Arrivals;
  /** Stops at once; the returned promise rejects with the signal's reason. */
  readonly signal: AbortSignal;
  /** Called now and then with the milliseconds since the start. */
  readonly onProgress?: (elapsedMs: number) => void;
}

/** One entry per arrival, in their order. */
export interface LoadResult {
  /** From the time the request was due to the end of the answer. */
  readonly latencyMs: Float64Array;
  /** How late the generator itself was; part of the latency. */
  readonly lagMs: Float64Array;
  readonly outcomes: readonly Outcome[];
  /** Names of the backends that answered; null where none did. */
  readonly backends: readonly (string | null)[];
  readonly connectionsOpened: number;
  /** Requests that went out a second time because a kept connection had been closed meanwhile. */
  readonly reconnects: number;
}

const HOSTNAME = "127.0.0.1";
/** A request without an answer after this time has failed. The scenario's longest wait is about 2.5 s. */
const TIMEOUT_MS = 10_000;
/** About three times what the scenario can have in flight, so that it is only reached when something is broken. */
const MAX_CONNECTIONS = 4096;
const SWEEP_MS = 50;

/**
 * Sends every request at its time, whatever became of the ones before (open loop). Latency counts from
 * the time at which a request was due, so neither a slow proxy nor a late generator hides anything.
 */
export function runLoad(options: LoadOptions): Promise<LoadResult> {
  const { arrivals, signal } = options;
  const { timesMs } = arrivals;
  const count = timesMs.length;
  const latencyMs = new Float64Array(count);
  const lagMs = new Float64Array(count);
  const outcomes: Outcome[] = Array.from({ length: count });
  const backends: (string | null)[] = Array.from({ length: count }, () => null);
  const underWay: (ClientConnection | undefined)[] = Array.from({ length: count });
  const target = {
    hostname: HOSTNAME,
    port: options.port,
    request: new TextEncoder().encode(
      `GET / HTTP/1.1\r\nHost: ${HOSTNAME}:${options.port}\r\n\r\n`,
    ),
  };
  const open = new Set<ClientConnection>();
  const idle: ClientConnection[] = [];
  const startedAt = performance.now();
  let next = 0;
  let oldest = 0;
  let finished = 0;
  let connectionsOpened = 0;
  let reconnects = 0;

  function send(index: number, connection: ClientConnection | undefined): void {
    if (connection === undefined) {
      settle(index, "overflow");
      return;
    }
    underWay[index] = connection;
    connection.send((exchange) => onEnd(index, connection, exchange));
  }

  function connect(): ClientConnection | undefined {
    if (open.size >= MAX_CONNECTIONS) return undefined;
    connectionsOpened++;
    const connection = openConnection(target, () => {
      open.delete(connection);
      // A kept connection can be closed by the proxy at any time.
      const position = idle.indexOf(connection);
      if (position >= 0) idle.splice(position, 1);
    });
    open.add(connection);
    return connection;
  }

  function onEnd(index: number, connection: ClientConnection, exchange: Exchange): void {
    if ("failure" in exchange) {
      if (exchange.stale) {
        reconnects++;
        send(index, connect());
      } else {
        settle(index, exchange.failure);
      }
      return;
    }
    const { status, backend, reusable } = exchange.response;
    if (reusable) idle.push(connection);
    backends[index] = backend;
    const good = status >= 200 && status < 300;
    settle(index, good ? "ok" : `${backend === null ? "proxy" : "backend"}_${status}`);
  }

  function settle(index: number, outcome: Outcome): void {
    underWay[index] = undefined;
    outcomes[index] = outcome;
    latencyMs[index] = performance.now() - startedAt - due(index);
    finished++;
  }

  function due(index: number): number {
    return timesMs[index] ?? 0;
  }

  /** Ends what has waited too long. All have the same patience, so the oldest go first. */
  function expire(elapsedMs: number): void {
    while (oldest < next) {
      if (outcomes[oldest] === undefined) {
        if (elapsedMs - due(oldest) < TIMEOUT_MS) return;
        underWay[oldest]?.abandon("timeout");
      }
      oldest++;
    }
  }

  return new Promise((resolve, reject) => {
    let timer: ReturnType<typeof setTimeout>;

    function stop(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      for (const connection of open) connection.close();
    }

    function onAbort(): void {
      stop();
      reject(signal.reason);
    }

    function turn(): void {
      let elapsedMs = performance.now() - startedAt;
      while (next < count && due(next) <= elapsedMs) {
        lagMs[next] = elapsedMs - due(next);
        const index = next++;
        send(index, idle.pop() ?? connect());
        elapsedMs = performance.now() - startedAt;
      }
      expire(elapsedMs);
      options.onProgress?.(elapsedMs);
      if (finished === count && elapsedMs >= arrivals.durationMs) {
        stop();
        resolve({ latencyMs, lagMs, outcomes, backends, connectionsOpened, reconnects });
        return;
      }
      const waitMs = next < count ? due(next) - elapsedMs : SWEEP_MS;
      timer = setTimeout(turn, Math.min(waitMs, SWEEP_MS));
    }

    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    signal.addEventListener("abort", onAbort, { once: true });
    turn();
  });
}
