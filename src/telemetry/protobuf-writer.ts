/** Protobuf's wire format (https://protobuf.dev/programming-guides/encoding/), written from front to back. */

const FIRST_SIZE = 64 * 1024;
/** The memory of a bigger message goes with it, and is neither copied nor held for ever. */
const MAX_KEPT = 256 * 1024;
/** A longer text goes to the encoder: a loop here is faster for a short one. */
const SHORT_TEXT = 96;

/** The type of a field on the wire, the low three bits of its tag. */
export const VARINT = 0;
export const FIXED64 = 1;
export const LENGTH = 2;
export const FIXED32 = 5;

/**
 * Writes one message after another into the same memory. A message within a message is put between
 * `begin` and `end`, which puts its length before it.
 */
export class ProtobufWriter {
  readonly #encoder = new TextEncoder();
  #bytes = new Uint8Array(FIRST_SIZE);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  /** How many bytes are written. */
  get length(): number {
    return this.#at;
  }

  /** Forgets what a message that was never finished left behind. */
  restart(): void {
    this.#at = 0;
  }

  /** All that was written, and starts anew. */
  finish(): Uint8Array<ArrayBuffer> {
    const isBig = this.#bytes.length > MAX_KEPT;
    const message = isBig ? this.#bytes.subarray(0, this.#at) : this.#bytes.slice(0, this.#at);
    this.#at = 0;
    if (isBig) {
      this.#bytes = new Uint8Array(FIRST_SIZE);
      this.#view = new DataView(this.#bytes.buffer);
    }
    return message;
  }

  /** Room for so many bytes more, all at once: room that is found on the way is doubled each time. */
  reserve(bytes: number): void {
    this.#reserve(bytes);
  }

  /** What was written: valid until something else is. */
  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  /** A copy of what was written since `start`, an earlier `length`. */
  since(start: number): Uint8Array {
    return this.#bytes.slice(start, this.#at);
  }

  tag(field: number, type: number): void {
    this.varint((field << 3) | type);
  }

  /** A whole number of at most 32 bits, without sign. */
  varint(value: number): void {
    this.#reserve(5);
    const bytes = this.#bytes;
    let rest = value;
    while (rest > 127) {
      bytes[this.#at++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    bytes[this.#at++] = rest;
  }

  /** A whole number of 64 bits. */
  varint64(value: number): void {
    if (value >= 0 && value <= 0xffffffff) {
      this.varint(value);
      return;
    }
    this.#reserve(10);
    const bytes = this.#bytes;
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest > 127n; rest >>= 7n) bytes[this.#at++] = Number(rest & 127n) | 128;
    bytes[this.#at++] = Number(rest);
  }

  fixed32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
  }

  fixed64(high: number, low: number): void {
    this.#reserve(8);
    this.#view.setUint32(this.#at, low, true);
    this.#view.setUint32(this.#at + 4, high, true);
    this.#at += 8;
  }

  double(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  /** As it is, without a length. */
  raw(encoded: Uint8Array): void {
    const { length } = encoded;
    this.#reserve(length);
    const bytes = this.#bytes;
    const at = this.#at;
    // A call of `set` costs more than these few bytes.
    if (length > SHORT_TEXT) bytes.set(encoded, at);
    else for (let i = 0; i < length; i++) bytes[at + i] = encoded[i] as number;
    this.#at = at + length;
  }

  /** A part of these bytes, as it is. */
  part({ bytes, start, end }: { bytes: Uint8Array; start: number; end: number }): void {
    this.#reserve(end - start);
    this.#bytes.set(bytes.subarray(start, end), this.#at);
    this.#at += end - start;
  }

  bytes(value: Uint8Array): void {
    this.varint(value.length);
    this.raw(value);
  }

  /** With its length, in UTF-8. */
  text(value: string): void {
    const { length } = value;
    this.#reserve(5 + 3 * length);
    const start = this.#at;
    if (length <= SHORT_TEXT) {
      this.#bytes[this.#at++] = length;
      if (this.#ascii(value)) return;
      this.#at = start;
    }
    const at = this.begin();
    const { written } = this.#encoder.encodeInto(value, this.#bytes.subarray(this.#at));
    this.#at += written;
    this.end(at);
  }

  /** With its length: bytes that are written as hexadecimal digits. */
  hex(digits: string): void {
    const length = digits.length >> 1;
    this.#reserve(5 + length);
    this.varint(length);
    const bytes = this.#bytes;
    let at = this.#at;
    for (let i = 0; i < digits.length - 1; i += 2) {
      bytes[at++] = (nibble(digits.charCodeAt(i)) << 4) | nibble(digits.charCodeAt(i + 1));
    }
    this.#at = at;
  }

  /** Returns what `end` has to be given. */
  begin(): number {
    this.#reserve(1);
    return this.#at++;
  }

  /** The length of what was written since `begin` takes one byte nearly always; else that is moved. */
  end(start: number): void {
    const length = this.#at - start - 1;
    if (length < 128) {
      this.#bytes[start] = length;
      return;
    }
    const more = length < 1 << 14 ? 1 : length < 1 << 21 ? 2 : length < 1 << 28 ? 3 : 4;
    this.#reserve(more);
    this.#bytes.copyWithin(start + 1 + more, start + 1, this.#at);
    this.#at = start;
    this.varint(length);
    this.#at += length;
  }

  /** False: it is none, and what was written is to be written over. */
  #ascii(value: string): boolean {
    const bytes = this.#bytes;
    const at = this.#at;
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i);
      if (code > 127) return false;
      bytes[at + i] = code;
    }
    this.#at = at + value.length;
    return true;
  }

  #reserve(more: number): void {
    const needed = this.#at + more;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** Of a hexadecimal digit: letters have bit 6 set, and count from 1 in the low four bits. */
function nibble(code: number): number {
  return (code & 15) + (code >> 6) * 9;
}
