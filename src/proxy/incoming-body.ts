import type { ByteReader } from "../transport/byte-reader.ts";

export interface IncomingBodyOwner {
  /** Somebody wants the body: the client may have to be told. Once. */
  onWanted(): void;
  /** `held` may have changed, or `ended`. */
  onChanged(): void;
}

/** A request's body between the connection that brings it and the one reader who wants it. */
export class IncomingBody implements ByteReader {
  /** Received so far. */
  bytes = 0;
  readonly #owner: IncomingBodyOwner;
  #pieces: Uint8Array[] = [];
  #state: "wanted by nobody" | "read" | "dropped" = "wanted by nobody";
  #ended = false;
  #broken: Error | null = null;
  #waiting: PromiseWithResolvers<Uint8Array | null> | null = null;

  constructor(owner: IncomingBodyOwner) {
    this.#owner = owner;
  }

  /** Nothing more will come. */
  get ended(): boolean {
    return this.#ended;
  }

  /** There is enough for the reader; no more should be taken from the connection. */
  get held(): boolean {
    return !this.#ended && this.#pieces.length > 0;
  }

  push(bytes: Uint8Array | undefined, isLast: boolean): void {
    if (this.#ended) return;
    if (isLast) this.#ended = true;
    this.bytes += bytes?.length ?? 0;
    const dropped = this.#state === "dropped" || bytes === undefined || bytes.length === 0;
    const waiting = this.#waiting;
    if (waiting !== null && (!dropped || isLast)) {
      this.#waiting = null;
      waiting.resolve(dropped ? null : bytes);
    } else if (!dropped) {
      this.#pieces.push(bytes);
    }
    this.#owner.onChanged();
  }

  /** The client went away, or what it sent is no body. What came before is still handed out. */
  fail(error: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#broken = error;
    this.#reject(error);
  }

  read(): Promise<Uint8Array | null> {
    if (this.#state === "wanted by nobody") {
      this.#state = "read";
      this.#owner.onWanted();
    }
    const piece = this.#pieces.shift();
    if (piece !== undefined) {
      this.#owner.onChanged();
      return Promise.resolve(piece);
    }
    if (this.#broken !== null) return Promise.reject(this.#broken);
    if (this.#ended) return Promise.resolve(null);
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  /** The rest is read from the connection and dropped, so that the next request is found behind it. */
  cancel(): void {
    if (this.#state === "dropped") return;
    this.#state = "dropped";
    this.#pieces = [];
    this.#reject(new Error("nobody wants the rest of the request"));
    this.#owner.onChanged();
  }

  #reject(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    // Whoever asked may have stopped listening; that must not end the process.
    waiting?.promise.catch(() => {});
    waiting?.reject(error);
  }
}
