import { ProxyError } from "../errors.ts";
import type { ByteReader } from "../transport/byte-reader.ts";

/** A body may be sent again as long as all of it that was read fits in here. */
const REPLAY_BYTES = 64 * 1024;

/**
 * The client's request body, read once from the front and given to one attempt after the other:
 * its start is kept so that a failed attempt can be repeated byte for byte.
 */
export class RequestBody {
  readonly #source: ByteReader;
  readonly #maxBytes: number;
  /** What was read, from the first byte on; emptied once it has become too much to keep. */
  #kept: Uint8Array[] = [];
  #replayable = true;
  #bytes = 0;
  /** A read that an earlier pass began and the next one takes over. */
  #pending: Promise<Uint8Array | null> | null = null;
  #ended = false;

  /** More than `maxBytes` is `body_too_large`. */
  constructor(source: ByteReader, maxBytes: number) {
    this.#source = source;
    this.#maxBytes = maxBytes;
  }

  /** Whether a new pass would still start at the first byte. */
  get replayable(): boolean {
    return this.#replayable;
  }

  /** What was read of it so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** All of it has arrived. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The body from its first byte on. Only while `replayable`; only the newest pass may be read. */
  pass(): ByteReader {
    if (!this.#replayable) throw new Error("the start of the request body is gone");
    let index = 0;
    const read = async (): Promise<Uint8Array | null> => {
      for (;;) {
        const kept = this.#kept[index];
        if (kept !== undefined) {
          index++;
          return kept;
        }
        if (this.#ended) return null;
        if (!this.#replayable) {
          this.#kept = [];
          index = 0;
        }
        await this.#readMore();
      }
    };
    // Cancelling a pass ends the attempt, not the request: the source may be wanted again.
    return { read, cancel: () => {} };
  }

  /** The request is over. */
  cancel(): void {
    if (!this.#ended) this.#source.cancel();
  }

  #readMore(): Promise<unknown> {
    this.#pending ??= this.#read().finally(() => {
      this.#pending = null;
    });
    return this.#pending;
  }

  async #read(): Promise<Uint8Array | null> {
    const bytes = await this.#readSource();
    if (bytes === null) {
      this.#ended = true;
      return null;
    }
    this.#bytes += bytes.length;
    if (this.#bytes > this.#maxBytes) throw bodyTooLarge(this.#maxBytes);
    if (this.#bytes > REPLAY_BYTES) this.#replayable = false;
    this.#kept.push(bytes);
    return bytes;
  }

  async #readSource(): Promise<Uint8Array | null> {
    try {
      return await this.#source.read();
    } catch (cause) {
      const message = "the client went away while sending the request";
      throw new ProxyError("client_gone", message, { source: "client", cause });
    }
  }
}

export function bodyTooLarge(maxBytes: number): ProxyError {
  return new ProxyError("body_too_large", `the request body is larger than ${maxBytes} bytes`, {
    source: "client",
  });
}
