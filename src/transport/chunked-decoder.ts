import { MalformedResponse } from "./response-head.ts";

/** Chunk extensions and trailers are read past, so together they are bounded over the whole message. */
export const MAX_OVERHEAD_BYTES = 16 * 1024;
/** Leading zeros count: without a bound a chunk size could be endless. */
const MAX_SIZE_DIGITS = 16;

const CR = 0x0d;
const LF = 0x0a;
const SEMICOLON = 0x3b;

const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
const DATA = 3;
const DATA_CR = 4;
const DATA_LF = 5;
const TRAILER_START = 6;
const TRAILER = 7;
const TRAILER_LF = 8;
const LAST_LF = 9;
const DONE = 10;

/** Takes the chunked coding apart (RFC 9112 section 7.1), however the bytes are cut. Trailers are dropped. */
export class ChunkedDecoder {
  #state = SIZE;
  /** The chunk size while it is read, afterwards the bytes of the chunk still to come. */
  #size = 0;
  #digits = 0;
  #overhead = 0;

  get done(): boolean {
    return this.#state === DONE;
  }

  /**
   * Hands every piece of data to `onData` (no copies) and returns how many bytes from `from` on belong to
   * the body: all, unless it ends before. Throws MalformedResponse.
   */
  push(bytes: Buffer, from: number, onData: (piece: Buffer) => void): number {
    const end = bytes.length;
    let at = from;
    while (at < end && this.#state !== DONE) {
      if (this.#state !== DATA) {
        this.#step(bytes[at++] as number);
        continue;
      }
      const to = Math.min(end, at + this.#size);
      this.#size -= to - at;
      if (this.#size === 0) this.#state = DATA_CR;
      onData(bytes.subarray(at, to));
      at = to;
    }
    return at - from;
  }

  #step(byte: number): void {
    switch (this.#state) {
      case SIZE:
        this.#sizeByte(byte);
        break;
      case EXTENSION:
        if (byte === CR) this.#state = SIZE_LF;
        else this.#readPast(byte);
        break;
      case SIZE_LF:
        expect(byte, LF);
        this.#digits = 0;
        this.#state = this.#size === 0 ? TRAILER_START : DATA;
        break;
      case DATA_CR:
        expect(byte, CR);
        this.#state = DATA_LF;
        break;
      case DATA_LF:
        expect(byte, LF);
        this.#state = SIZE;
        break;
      case TRAILER_START:
        if (byte === CR) {
          this.#state = LAST_LF;
          break;
        }
        this.#state = TRAILER;
        this.#readPast(byte);
        break;
      case TRAILER:
        if (byte === CR) this.#state = TRAILER_LF;
        else this.#readPast(byte);
        break;
      case TRAILER_LF:
        expect(byte, LF);
        this.#state = TRAILER_START;
        break;
      case LAST_LF:
        expect(byte, LF);
        this.#state = DONE;
        break;
    }
  }

  #sizeByte(byte: number): void {
    const digit = hexDigit(byte);
    if (digit !== -1) {
      this.#size = this.#size * 16 + digit;
      if (++this.#digits > MAX_SIZE_DIGITS || this.#size > Number.MAX_SAFE_INTEGER) {
        throw new MalformedResponse("it has a chunk size that is too large");
      }
    } else if (this.#digits > 0 && byte === CR) this.#state = SIZE_LF;
    else if (this.#digits > 0 && byte === SEMICOLON) this.#state = EXTENSION;
    else throw new MalformedResponse("it has a chunk size that is not a hexadecimal number");
  }

  #readPast(byte: number): void {
    if (byte === 0x7f || (byte < 0x20 && byte !== 0x09)) {
      throw new MalformedResponse("it has a control character in a chunk extension or trailer");
    }
    if (++this.#overhead > MAX_OVERHEAD_BYTES) {
      throw new MalformedResponse(
        `it has more than ${MAX_OVERHEAD_BYTES} bytes of chunk extensions and trailers`,
      );
    }
  }
}

function expect(byte: number, wanted: number): void {
  if (byte !== wanted) throw new MalformedResponse("its chunks are not separated by CRLF");
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
