import { ProxyError } from "../errors.ts";
import type { ResponseBodyReader } from "./byte-reader.ts";

/** Small pieces are handed out together up to this size: a copy is cheaper than a write each. */
const JOIN_BYTES = 64 * 1024;

export interface BodySource {
  /** The reader took what there was: more may be read from the backend. */
  onTaken(): void;
  onCancelled(reason: Error): void;
}

/** A response body between the connection that fills it and the one reader that empties it. */
export class ResponseBody implements ResponseBodyReader {
  /** Bytes that nobody has read yet. */
  buffered = 0;

  readonly #source: BodySource;
  #pieces: Uint8Array[] = [];
  #ended = false;
  #error: Error | null = null;
  #waiting: PromiseWithResolvers<Uint8Array | null> | null = null;

  constructor(source: BodySource) {
    this.#source = source;
  }

  /** A `read` is waiting for the backend. */
  get awaited(): boolean {
    return this.#waiting !== null;
  }

  read(): Promise<Uint8Array | null> {
    if (this.#pieces.length > 0) {
      const bytes = this.#take();
      if (!this.#ended) this.#source.onTaken();
      return Promise.resolve(bytes);
    }
    if (this.#error !== null) return Promise.reject(this.#error);
    if (this.#ended) return Promise.resolve(null);
    this.#waiting = Promise.withResolvers();
    this.#source.onTaken();
    return this.#waiting.promise;
  }

  takeWhole(): Uint8Array | null {
    if (!this.#ended || this.#error !== null) return null;
    const pieces = this.#pieces;
    this.#pieces = [];
    this.buffered = 0;
    return pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces);
  }

  cancel(): void {
    const gone = new ProxyError("client_gone", "nobody wants the rest of the response", {
      source: "client",
    });
    if (this.#pieces.length > 0) this.#error ??= gone;
    this.#pieces = [];
    this.buffered = 0;
    if (this.#ended) return;
    this.fail(gone);
    this.#source.onCancelled(gone);
  }

  push(piece: Uint8Array): void {
    const waiting = this.#waiting;
    if (waiting !== null) {
      this.#waiting = null;
      waiting.resolve(piece);
      return;
    }
    this.#pieces.push(piece);
    this.buffered += piece.length;
  }

  end(): void {
    this.#ended = true;
    this.#waiting?.resolve(null);
    this.#waiting = null;
  }

  /** What was received before is still handed out, then `read` rejects. */
  fail(error: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    const waiting = this.#waiting;
    if (waiting === null) return;
    this.#waiting = null;
    // Whoever asked may have stopped listening; that must not end the process.
    waiting.promise.catch(ignore);
    waiting.reject(error);
  }

  #take(): Uint8Array {
    const pieces = this.#pieces;
    let size = (pieces[0] as Uint8Array).length;
    let count = 1;
    while (count < pieces.length && size + (pieces[count] as Uint8Array).length <= JOIN_BYTES) {
      size += (pieces[count++] as Uint8Array).length;
    }
    this.buffered -= size;
    if (count === pieces.length) this.#pieces = [];
    const taken = count === pieces.length ? pieces : pieces.splice(0, count);
    return taken.length === 1 ? (taken[0] as Uint8Array) : Buffer.concat(taken, size);
  }
}

function ignore(): void {}
