import type { ConnectionConfig } from "../config/config.ts";
import type { Connection, ConnectionOwner } from "./connection.ts";
import type { SocketCalls } from "./socket-calls.ts";

/**
 * The open connections to one backend that nobody uses, the last one used first: so that the ones that are not
 * needed grow old and close. Nothing may come in on them: a byte or a FIN ends one.
 */
export class IdleConnections implements ConnectionOwner {
  readonly #config: ConnectionConfig;
  readonly #calls: SocketCalls | null;
  readonly #now: () => number;
  readonly #onChange: () => void;
  readonly #connections: Connection[] = [];

  constructor(
    config: ConnectionConfig,
    calls: SocketCalls | null,
    now: () => number,
    onChange: () => void,
  ) {
    this.#config = config;
    this.#calls = calls;
    this.#now = now;
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#connections.length;
  }

  /** Takes over a connection that has no exchange; closes it when it is too old or there are enough. */
  put(connection: Connection, keepAliveMs: number | null): void {
    const now = this.#now();
    const idleUntil = Math.min(now + this.#idleMs(keepAliveMs), this.#oldUntil(connection));
    if (
      !connection.usable ||
      idleUntil <= now ||
      this.#connections.length >= this.#config.maxIdle
    ) {
      connection.close();
      return;
    }
    connection.owner = this;
    connection.reused = true;
    connection.idleUntil = idleUntil;
    connection.resume();
    this.#connections.push(connection);
    this.#onChange();
  }

  /** One that can be used at once, or null. */
  take(): Connection | null {
    const now = this.#now();
    let found: Connection | null = null;
    while (found === null && this.#connections.length > 0) {
      const connection = this.#connections.pop() as Connection;
      if (connection.idleUntil > now && connection.isQuiet(this.#calls)) found = connection;
      else connection.close();
      this.#onChange();
    }
    return found;
  }

  /** Closes those whose time is over. */
  expire(): void {
    const now = this.#now();
    for (let i = this.#connections.length - 1; i >= 0; i--) {
      const connection = this.#connections[i] as Connection;
      if (connection.idleUntil > now) continue;
      this.#connections.splice(i, 1);
      connection.close();
      this.#onChange();
    }
  }

  closeAll(): void {
    for (const connection of this.#connections.splice(0)) connection.close();
    this.#onChange();
  }

  onData(connection: Connection): void {
    this.#drop(connection);
  }

  onDrain(): void {}

  onEnd(connection: Connection): void {
    this.#drop(connection);
  }

  onClosed(connection: Connection): void {
    this.#drop(connection);
  }

  #drop(connection: Connection): void {
    const at = this.#connections.indexOf(connection);
    if (at === -1) return;
    this.#connections.splice(at, 1);
    connection.close();
    this.#onChange();
  }

  #oldUntil(connection: Connection): number {
    return this.#config.maxAgeMs === null
      ? Number.POSITIVE_INFINITY
      : connection.openedAt + this.#config.maxAgeMs;
  }

  /**
   * A backend that closes after N idle seconds counts from when it sent its answer, and its FIN needs time to reach us;
   * a request that crosses it is lost. So we stop a second early, or at half of a shorter time.
   */
  #idleMs(keepAliveMs: number | null): number {
    if (keepAliveMs === null) return this.#config.idleMs;
    return Math.min(this.#config.idleMs, keepAliveMs - Math.min(1000, keepAliveMs / 2));
  }
}
