import type { Socket } from "bun";
import type { SocketCalls } from "./socket-calls.ts";

/** Whoever a connection belongs to at the moment: an exchange, or the store of idle ones. */
export interface ConnectionOwner {
  onData(connection: Connection, bytes: Buffer): void;
  /** Everything that `write` had to keep has gone out. */
  onDrain(connection: Connection): void;
  /** The backend ended the stream cleanly; `onClosed` follows. */
  onEnd(connection: Connection): void;
  /** The connection is gone; `error` when it was reset. Not called when we closed it ourselves. */
  onClosed(connection: Connection, error: Error | undefined): void;
}

/** How long a last answer may take to be read once writing has failed. */
const LINGER_MS = 50;

/** One open connection to a backend. It moves bytes and knows nothing about HTTP. */
export class Connection {
  /** Monotonic milliseconds. */
  readonly openedAt: number;
  owner: ConnectionOwner;
  /** It lay idle before: the backend may close it at the moment we use it. */
  reused = false;
  /** Bytes were handed to the kernel since the owner last set this to false. */
  wrote = false;
  /** The backend was found to be gone: a failed write takes a reset with it, and Bun then tells of a clean end. */
  writeFailed = false;
  /** Monotonic milliseconds until which it may lie idle; kept by the store of idle connections. */
  idleUntil = 0;

  readonly #socket: Socket<Connection | null>;
  readonly #onGone: () => void;
  /** What the kernel did not take yet. */
  #unsent: Uint8Array[] = [];
  #paused = false;
  #open = true;

  constructor(
    socket: Socket<Connection | null>,
    openedAt: number,
    owner: ConnectionOwner,
    onGone: () => void,
  ) {
    this.#socket = socket;
    this.openedAt = openedAt;
    this.owner = owner;
    this.#onGone = onGone;
    socket.data = this;
  }

  /** False: the backend or we have closed it. */
  get usable(): boolean {
    return this.#open && this.#socket.readyState === 1;
  }

  /**
   * Whether it is open and nothing waits on it. Between two answers a backend has nothing to say: a byte would be
   * taken for the start of the next answer, and an end means that a request sent now may be lost.
   */
  isQuiet(calls: SocketCalls | null): boolean {
    if (!this.usable) return false;
    return calls === null || calls.peek(descriptorOf(this.#socket)) === "nothing";
  }

  /** Nothing that `write` was given is still here. */
  get flushed(): boolean {
    return this.#unsent.length === 0;
  }

  /** True: the kernel took everything. False: wait for `onDrain` (or `onClosed`) before writing more. */
  write(bytes: Uint8Array): boolean {
    if (this.#unsent.length > 0) {
      this.#unsent.push(bytes);
      return false;
    }
    const sent = this.#open ? this.#socket.write(bytes) : -1;
    if (sent > 0) this.wrote = true;
    if (sent === bytes.length) return true;
    // Closed under our hands, but what the backend said before may still be on its way to us: an answer to
    // an upload that it did not want (RFC 9112, 9.5). Bun tells about the close after that, as a rule.
    if (sent === -1) {
      this.writeFailed = true;
      setTimeout(() => this.closed(undefined), LINGER_MS);
    }
    this.#unsent.push(sent > 0 ? bytes.subarray(sent) : bytes);
    return false;
  }

  /** Stops reading, so that the backend is held back by its full send buffer. */
  pause(): void {
    if (this.#paused || !this.#open) return;
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#open) this.#socket.resume();
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Ends it properly (FIN). Nothing may be unsent. */
  close(): void {
    if (this.#leave()) this.#socket.end();
  }

  /** Ends it at once (RST), so that the backend cannot take what it got for a complete message. */
  reset(): void {
    if (this.#leave()) this.#socket.terminate();
  }

  /** Called by the socket handlers. */
  drained(): void {
    if (this.#unsent.length === 0) return;
    const rest = this.#unsent;
    this.#unsent = [];
    for (const bytes of rest) this.write(bytes);
    if (this.#unsent.length === 0) this.owner.onDrain(this);
  }

  /** Called by the socket handlers. */
  closed(error: Error | undefined): void {
    if (this.#leave()) this.owner.onClosed(this, error);
  }

  /** Whether it was still open. */
  #leave(): boolean {
    if (!this.#open) return false;
    this.#open = false;
    this.#unsent = [];
    this.#onGone();
    return true;
  }
}

/** Bun has it, its types do not. */
function descriptorOf(socket: Socket<Connection | null>): number {
  return (socket as unknown as { readonly fd: number }).fd;
}
