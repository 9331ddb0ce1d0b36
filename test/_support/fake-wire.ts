import type { Socket } from "bun";

export type WireEnd = "fin" | "reset" | "us";

/** The backend's end of one connection, for scripts that write byte by byte. */
export class FakeWire {
  /** How many connections the backend had accepted before. */
  readonly index: number;
  /** Who ended it: the proxy with a FIN or a reset, or this backend. */
  readonly closed: Promise<WireEnd>;
  /** Set when `closed` has settled. */
  end: WireEnd | null = null;

  readonly #socket: Socket<unknown>;
  readonly #settle: (end: WireEnd) => void;
  #queue: { bytes: Uint8Array; taken: () => void }[] = [];

  constructor(index: number, socket: Socket<unknown>) {
    this.index = index;
    this.#socket = socket;
    const { promise, resolve } = Promise.withResolvers<WireEnd>();
    this.closed = promise;
    this.#settle = resolve;
  }

  /** Resolves when the kernel took all of it, or the connection ended. Text is latin-1. */
  write(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? Buffer.from(data, "latin1") : data;
    return new Promise((taken) => {
      this.#queue.push({ bytes, taken });
      if (this.#queue.length === 1) this.flush();
    });
  }

  /** Stops reading what the proxy sends. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Ends our side; what was written before arrives. The proxy's bytes are still read. */
  fin(): void {
    this.#socket.shutdown();
  }

  /** RST. What was written before may be lost on the way, as with any reset. */
  reset(): void {
    this.gone("us");
    this.#socket.terminate();
  }

  /** Called by the backend when the socket has room again. */
  flush(): void {
    while (this.end === null && this.#queue.length > 0) {
      const first = this.#queue[0] as { bytes: Uint8Array; taken: () => void };
      const sent = first.bytes.length === 0 ? 0 : this.#socket.write(first.bytes);
      if (sent < first.bytes.length) {
        if (sent > 0) first.bytes = first.bytes.subarray(sent);
        return;
      }
      this.#queue.shift();
      first.taken();
    }
  }

  /** Called by the backend when the connection has ended. */
  gone(end: WireEnd): void {
    if (this.end !== null) return;
    this.end = end;
    this.#settle(end);
    for (const { taken } of this.#queue.splice(0)) taken();
  }
}
