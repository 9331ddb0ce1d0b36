import { ProxyError } from "../errors.ts";
import type { ByteReader } from "./byte-reader.ts";
import type { Connection } from "./connection.ts";

/** A first piece up to this size goes out in one write with the head. */
const JOIN_BYTES = 64 * 1024;
const LAST_CHUNK = Buffer.from("0\r\n\r\n");

export interface UploadWatcher {
  /** The client gave bytes, or the kernel took some. */
  onProgress(): void;
  /** The request cannot be completed; what was sent of it must not pass for a whole one. */
  onUploadFailed(error: Error): void;
}

/** Sends head and body of one request; the client's reader is asked for more only when the kernel took what there was. */
export class Upload {
  /** The next step is the client's: its bytes are awaited. */
  awaitsClient = false;
  /** The kernel has the whole request. */
  sent = false;

  readonly #body: ByteReader;
  readonly #length: number | null;
  readonly #connection: Connection;
  readonly #watcher: UploadWatcher;
  #head: Buffer | null;
  #drained: (() => void) | null = null;
  #bytes = 0;
  #stopped = false;

  constructor(
    head: Buffer,
    body: ByteReader,
    length: number | null,
    connection: Connection,
    watcher: UploadWatcher,
  ) {
    this.#head = head;
    this.#body = body;
    this.#length = length;
    this.#connection = connection;
    this.#watcher = watcher;
  }

  start(): void {
    this.#run().then(undefined, (error: unknown) => this.#fail(clientFault(error)));
    // The head waits for a body that is already there, to go out in one write, but not for one that is not.
    setImmediate(() => {
      if (!this.#stopped && this.#head !== null) this.#write(null);
    });
  }

  /** The connection took what `write` had left. */
  drained(): void {
    this.#watcher.onProgress();
    const resume = this.#drained;
    this.#drained = null;
    resume?.();
  }

  /** The exchange is over: nothing more is written. */
  stop(): void {
    this.#stopped = true;
    this.#drained?.();
  }

  async #run(): Promise<void> {
    const length = this.#length;
    for (;;) {
      this.awaitsClient = !this.sent;
      const piece = await this.#body.read();
      this.awaitsClient = false;
      if (this.#stopped) return;
      if (piece === null) break;
      // As a chunk, no bytes would be the end of the message.
      if (piece.length === 0) continue;
      this.#watcher.onProgress();
      this.#bytes += piece.length;
      if (length !== null && this.#bytes > length) {
        this.#fail(wrongLength("longer"));
        return;
      }
      if (!this.#write(length === null ? chunk(piece) : piece)) await this.#whenDrained();
      if (this.#stopped) return;
      // Known by its length the request is whole now, and a quick backend may answer before we see the end.
      if (this.#bytes === length) this.sent = true;
    }
    if (this.sent) return;
    if (length !== null && this.#bytes < length) {
      this.#fail(wrongLength("shorter"));
      return;
    }
    if (!this.#write(length === null ? LAST_CHUNK : null)) await this.#whenDrained();
    if (!this.#stopped) this.sent = true;
  }

  /** With the head before it if that has not gone yet. */
  #write(bytes: Uint8Array | null): boolean {
    const head = this.#head;
    this.#head = null;
    if (head === null) return bytes === null || this.#connection.write(bytes);
    if (bytes === null) return this.#connection.write(head);
    if (bytes.length <= JOIN_BYTES) return this.#connection.write(Buffer.concat([head, bytes]));
    this.#connection.write(head);
    return this.#connection.write(bytes);
  }

  #whenDrained(): Promise<void> {
    return new Promise((resolve) => {
      this.#drained = resolve;
    });
  }

  #fail(error: Error): void {
    if (!this.#stopped) this.#watcher.onUploadFailed(error);
  }
}

function chunk(piece: Uint8Array): Buffer {
  const size = `${piece.length.toString(16)}\r\n`;
  const framed = Buffer.allocUnsafe(size.length + piece.length + 2);
  framed.write(size, 0, "latin1");
  framed.set(piece, size.length);
  framed.write("\r\n", size.length + piece.length, "latin1");
  return framed;
}

function wrongLength(what: "longer" | "shorter"): ProxyError {
  return new ProxyError("bad_request", `the request body is ${what} than its Content-Length`, {
    source: "client",
  });
}

function clientFault(error: unknown): ProxyError {
  if (error instanceof ProxyError) return error;
  return new ProxyError("client_gone", "the request body broke off", {
    source: "client",
    cause: error,
  });
}
