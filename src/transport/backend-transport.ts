import type { ConnectionConfig, SocketAddress, TimeoutConfig } from "../config/config.ts";
import { BackendExchange, type ExchangeOwner } from "./backend-exchange.ts";
import type { Connection } from "./connection.ts";
import { Connector } from "./connector.ts";
import type { Exchange, OutgoingRequest, Transport } from "./exchange.ts";
import { IdleConnections } from "./idle-connections.ts";
import type { SocketCalls } from "./socket-calls.ts";
import { Ticker, tickFor } from "./ticker.ts";

export interface BackendTransportOptions {
  readonly address: SocketAddress;
  readonly timeouts: TimeoutConfig;
  readonly connections: ConnectionConfig;
  /** Null: a connection is reused without a look at its socket. */
  readonly socketCalls: SocketCalls | null;
  /** Monotonic milliseconds. */
  now(): number;
  /** Called before a connection is opened. */
  onOpening?(): void;
  /** Called after every change; `open` includes `idle`. */
  onConnectionsChange?(open: number, idle: number): void;
}

/** HTTP/1.1 to one backend over keep-alive connections. It never repeats a request on its own. */
export class BackendTransport implements Transport, ExchangeOwner {
  readonly ticker: Ticker;
  readonly timeouts: TimeoutConfig;
  readonly #options: BackendTransportOptions;
  readonly #connector: Connector;
  readonly #idle: IdleConnections;
  readonly #exchanges = new Set<BackendExchange>();
  #open = 0;
  #closing = false;

  constructor(options: BackendTransportOptions) {
    const { address, timeouts, connections } = options;
    this.#options = options;
    this.timeouts = timeouts;
    this.ticker = new Ticker(
      tickFor([timeouts.connectMs, timeouts.firstByteMs, timeouts.idleMs, connections.idleMs]),
      () => this.#onTick(),
    );
    this.#idle = new IdleConnections(connections, options.socketCalls, options.now, () =>
      this.#changed(),
    );
    this.#connector = new Connector({
      address,
      connectMs: timeouts.connectMs,
      ticker: this.ticker,
      now: options.now,
      onOpening: () => options.onOpening?.(),
      onOpenChange: (by) => {
        this.#open += by;
        this.#changed();
      },
    });
  }

  get openConnections(): number {
    return this.#open;
  }

  get idleConnections(): number {
    return this.#idle.size;
  }

  send(request: OutgoingRequest): Exchange {
    const exchange = new BackendExchange(request, this);
    this.#exchanges.add(exchange);
    this.ticker.start();
    const connection = request.fresh ? null : this.#idle.take();
    if (connection === null) this.#connector.connect(exchange);
    else exchange.start(connection);
    return exchange;
  }

  closeIdle(): void {
    this.#idle.closeAll();
  }

  close(): void {
    this.#closing = true;
    this.#idle.closeAll();
  }

  onReusable(connection: Connection, keepAliveMs: number | null): void {
    if (this.#closing) {
      connection.close();
      return;
    }
    this.#idle.put(connection, keepAliveMs);
    this.ticker.start();
  }

  onExchangeEnded(exchange: BackendExchange): void {
    this.#exchanges.delete(exchange);
  }

  #onTick(): boolean {
    this.#connector.expire();
    for (const exchange of this.#exchanges) exchange.onTick();
    this.#idle.expire();
    return this.#exchanges.size > 0 || this.#idle.size > 0 || this.#connector.busy;
  }

  #changed(): void {
    this.#options.onConnectionsChange?.(this.#open, this.#idle.size);
  }
}
