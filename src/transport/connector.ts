import { closeSync, openSync } from "node:fs";
import { devNull } from "node:os";
import type { Socket, SocketHandler } from "bun";
import type { SocketAddress } from "../config/config.ts";
import { ProxyError } from "../errors.ts";
import { Connection, type ConnectionOwner } from "./connection.ts";
import type { Ticker } from "./ticker.ts";
import { TransportError } from "./transport-error.ts";

/**
 * Connects that ran out of time and that the kernel still holds a descriptor for (Bun.connect cannot be
 * called off; the kernel gives up after about two minutes). Above this no new one is tried.
 */
export const MAX_ABANDONED = 8;

export interface ConnectWaiter extends ConnectionOwner {
  onConnected(connection: Connection, durationMs: number): void;
  onConnectFailed(error: ProxyError): void;
}

export interface ConnectorOptions {
  readonly address: SocketAddress;
  readonly connectMs: number;
  readonly ticker: Ticker;
  now(): number;
  /** A connection will be opened. */
  onOpening(): void;
  /** The number of open connections changed by this much. */
  onOpenChange(by: 1 | -1): void;
}

/** Opens connections to one backend, each within the connect timeout. */
export class Connector {
  readonly #options: ConnectorOptions;
  readonly #pending = new Set<PendingConnect>();
  readonly #handlers: SocketHandler<Connection | null>;
  #abandoned = 0;

  constructor(options: ConnectorOptions) {
    this.#options = options;
    this.#handlers = {
      data: (socket, bytes) => socket.data?.owner.onData(socket.data, bytes),
      drain: (socket) => socket.data?.drained(),
      end: (socket) => socket.data?.owner.onEnd(socket.data),
      close: (socket, error) => socket.data?.closed(error),
      error: (socket, error) => {
        socket.data?.closed(error);
        socket.terminate();
      },
    };
  }

  get busy(): boolean {
    return this.#pending.size > 0;
  }

  /** Calls back exactly once, never before it returns. */
  connect(waiter: ConnectWaiter): void {
    const { now, ticker } = this.#options;
    const pending: PendingConnect = { waiter, startedAt: now(), startedTick: ticker.tick };
    if (this.#abandoned >= MAX_ABANDONED) {
      queueMicrotask(() =>
        waiter.onConnectFailed(
          this.#timedOut(`${this.#abandoned} earlier connects are still unanswered`),
        ),
      );
      return;
    }
    this.#options.onOpening();
    this.#pending.add(pending);
    ticker.start();
    this.#dial(pending);
  }

  /** Fails what has waited longer than the connect timeout. */
  expire(): void {
    const { ticker, connectMs } = this.#options;
    for (const pending of this.#pending) {
      if (!ticker.passed(pending.startedTick, connectMs)) continue;
      this.#pending.delete(pending);
      this.#abandoned++;
      pending.waiter.onConnectFailed(this.#timedOut(`no answer within ${connectMs} ms`));
    }
  }

  #dial(pending: PendingConnect): void {
    // Bun.connect throws at once for a port or a name it does not like; a rejection is the same to us.
    const options = { data: null, socket: this.#handlers };
    const { address } = this.#options;
    const dialled = Promise.try(() =>
      "unix" in address
        ? Bun.connect<Connection | null>({ ...options, unix: address.unix })
        : Bun.connect<Connection | null>({
            ...options,
            hostname: address.hostname,
            port: address.port,
          }),
    );
    dialled.then(
      (socket) => this.#opened(pending, socket),
      (cause: unknown) => this.#failed(pending, cause),
    );
  }

  #opened(pending: PendingConnect, socket: Socket<Connection | null>): void {
    if (!this.#pending.delete(pending)) {
      this.#abandoned--;
      socket.terminate();
      return;
    }
    const { now, onOpenChange } = this.#options;
    const openedAt = now();
    onOpenChange(1);
    const connection = new Connection(socket, openedAt, pending.waiter, () => onOpenChange(-1));
    pending.waiter.onConnected(connection, openedAt - pending.startedAt);
  }

  #failed(pending: PendingConnect, cause: unknown): void {
    if (!this.#pending.delete(pending)) this.#abandoned--;
    else pending.waiter.onConnectFailed(this.#refused(cause));
  }

  #timedOut(detail: string): TransportError {
    return new TransportError(
      "connect_timeout",
      "the backend did not accept a connection in time",
      {
        outcome: "connect",
        retry: "always",
        cause: new Error(`connect to ${this.#place()}: ${detail}`),
      },
    );
  }

  #refused(cause: unknown): ProxyError {
    const code = errorCode(cause);
    const described = new Error(`connect to ${this.#place()}: ${code ?? String(cause)}`, { cause });
    if ((code !== null && OURS.has(code)) || outOfDescriptors()) {
      return new ProxyError(
        "overloaded",
        "the proxy has no resources left for another connection",
        {
          source: "proxy",
          cause: described,
        },
      );
    }
    const facts = { outcome: "connect", retry: "always", cause: described } as const;
    return isNameFailure(cause)
      ? new TransportError("dns_failed", "the backend's name has no address", facts)
      : new TransportError("connect_refused", "the backend cannot be reached", facts);
  }

  #place(): string {
    const { address } = this.#options;
    return "unix" in address ? address.unix : `${address.hostname}:${address.port}`;
  }
}

interface PendingConnect {
  readonly waiter: ConnectWaiter;
  readonly startedAt: number;
  readonly startedTick: number;
}

/** Out of descriptors, ports or memory: no backend is to blame and another one would not help. */
const OURS: ReadonlySet<string> = new Set([
  "EMFILE",
  "ENFILE",
  "EADDRNOTAVAIL",
  "ENOBUFS",
  "ENOMEM",
]);

/** Bun 1.4.5 calls a connect that got no descriptor ECONNREFUSED, so only trying tells. */
function outOfDescriptors(): boolean {
  try {
    closeSync(openSync(devNull, "r"));
    return false;
  } catch {
    return true;
  }
}

/** Whatever the resolver's reason (no such name, no answer): only the call that failed tells it from a refusal. */
function isNameFailure(error: unknown): boolean {
  return (
    typeof error === "object" &&
    error !== null &&
    "syscall" in error &&
    error.syscall === "getaddrinfo"
  );
}

function errorCode(error: unknown): string | null {
  if (typeof error !== "object" || error === null || !("code" in error)) return null;
  return typeof error.code === "string" ? error.code : null;
}
