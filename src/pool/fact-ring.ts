/**
 * Records from one writer to any number of readers in other processes, in memory that they share. The
 * writer never waits: a reader that is too slow loses records, and notices.
 */

/** All words ever written, as far as they are whole; the next record begins there. */
const COMMITTED = 0;
/** The same with the record that is being written: readers must not trust what it overwrites. */
const RESERVED = 1;
/** A cache line. */
const HEADER_WORDS = 16;

const BYTES_PER_WORD = 4;

/** Of four bytes, for a ring that holds `capacity` of them, which is a power of two. */
export function factRingLength(capacity: number): number {
  return HEADER_WORDS + capacity;
}

/** One at a time for each ring; who comes after another goes on where that one has ended. */
export class FactRingWriter {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #capacity: number;

  /** `words`: `factRingLength` of them, all 0 at first. */
  constructor(words: Int32Array) {
    this.#words = words;
    this.#capacity = capacityOf(words);
    this.#bytes = bytesOf(words);
  }

  /** False when the record is longer than a quarter of the ring: it is left out. */
  write(record: Uint8Array): boolean {
    const length = 1 + Math.ceil(record.length / BYTES_PER_WORD);
    if (length > this.#capacity / 4) return false;
    const start = Atomics.load(this.#words, COMMITTED);
    const end = (start + length) | 0;
    Atomics.store(this.#words, RESERVED, end);
    const mask = this.#capacity - 1;
    this.#words[HEADER_WORDS + (start & mask)] = record.length;
    const at = ((start + 1) & mask) * BYTES_PER_WORD;
    const first = Math.min(record.length, this.#bytes.length - at);
    this.#bytes.set(first === record.length ? record : record.subarray(0, first), at);
    if (first < record.length) this.#bytes.set(record.subarray(first), 0);
    Atomics.store(this.#words, COMMITTED, end);
    return true;
  }
}

export interface FactRingReading {
  /** In their order; they are the reader's own. */
  readonly records: readonly Uint8Array[];
  /** Some are missing before them. */
  readonly lost: boolean;
}

const NOTHING: FactRingReading = { records: [], lost: false };
const OVERTAKEN: FactRingReading = { records: [], lost: true };

/** Reads what is written from now on. */
export class FactRingReader {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #capacity: number;
  #position: number;

  /** `words`: as for the writer. */
  constructor(words: Int32Array) {
    this.#words = words;
    this.#capacity = capacityOf(words);
    this.#bytes = bytesOf(words);
    this.#position = Atomics.load(words, COMMITTED);
  }

  read(): FactRingReading {
    const start = this.#position;
    const end = Atomics.load(this.#words, COMMITTED);
    const length = distance(start, end);
    if (length === 0) return NOTHING;
    this.#position = end;
    if (length > this.#capacity) return OVERTAKEN;
    const copy = this.#copy(start, length);
    // Looked at after the copy: by now the writer may be where it was made from.
    const reserved = Atomics.load(this.#words, RESERVED);
    if (distance(start, reserved) > this.#capacity) return OVERTAKEN;
    return readRecords(copy);
  }

  #copy(start: number, length: number): Uint8Array {
    const copy = new Uint8Array(length * BYTES_PER_WORD);
    const at = (start & (this.#capacity - 1)) * BYTES_PER_WORD;
    const first = this.#bytes.subarray(at, at + copy.length);
    copy.set(first);
    copy.set(this.#bytes.subarray(0, copy.length - first.length), first.length);
    return copy;
  }
}

function readRecords(bytes: Uint8Array): FactRingReading {
  const words = new Int32Array(bytes.buffer);
  const records: Uint8Array[] = [];
  for (let at = 0; at < words.length;) {
    const length = words[at] ?? -1;
    const begin = (at + 1) * BYTES_PER_WORD;
    // A worker that was killed may have been killed anywhere.
    if (length < 0 || begin + length > bytes.length) return { records, lost: true };
    records.push(bytes.subarray(begin, begin + length));
    at += 1 + Math.ceil(length / BYTES_PER_WORD);
  }
  return { records, lost: false };
}

/** Positions count on through the end of 32 bits. */
function distance(from: number, to: number): number {
  return (to - from) >>> 0;
}

function capacityOf(words: Int32Array): number {
  const capacity = words.length - HEADER_WORDS;
  if (capacity <= 0 || (capacity & (capacity - 1)) !== 0) {
    throw new RangeError(`a ring of ${capacity} words is no power of two`);
  }
  return capacity;
}

function bytesOf(words: Int32Array): Uint8Array {
  const start = words.byteOffset + HEADER_WORDS * BYTES_PER_WORD;
  return new Uint8Array(words.buffer, start, (words.length - HEADER_WORDS) * BYTES_PER_WORD);
}
