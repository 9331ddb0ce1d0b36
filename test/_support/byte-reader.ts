import type { ByteReader } from "../../src/transport/byte-reader.ts";

/** A body that a test feeds by hand. */
export class HandFedReader implements ByteReader {
  cancelled = false;
  reads = 0;
  readonly #ready: (Uint8Array | null | Error)[] = [];
  #waiting: PromiseWithResolvers<Uint8Array | null> | null = null;

  /** Text is a piece, null the end, an Error a break. */
  feed(...given: (string | null | Error)[]): this {
    for (const each of given) this.#ready.push(typeof each === "string" ? Buffer.from(each) : each);
    this.#serve();
    return this;
  }

  read(): Promise<Uint8Array | null> {
    this.reads++;
    this.#waiting = Promise.withResolvers();
    const { promise } = this.#waiting;
    this.#serve();
    return promise;
  }

  cancel(): void {
    this.cancelled = true;
  }

  #serve(): void {
    if (this.#waiting === null || this.#ready.length === 0) return;
    const next = this.#ready.shift() ?? null;
    if (next instanceof Error) this.#waiting.reject(next);
    else this.#waiting.resolve(next);
    this.#waiting = null;
  }
}

export async function readAll(reader: ByteReader): Promise<string> {
  const pieces: Uint8Array[] = [];
  for (;;) {
    const piece = await reader.read();
    if (piece === null) return Buffer.concat(pieces).toString();
    pieces.push(piece);
  }
}
