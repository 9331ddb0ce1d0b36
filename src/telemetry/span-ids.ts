/** Bytes that are drawn at a time: a call for each id would cost more than all else that is done with it. */
const DRAWN = 4096;
const SPAN_ID_BYTES = 8;
const TRACE_ID_DIGITS = 32;
const SPAN_ID_DIGITS = 16;

/** Random ids, lower-case hex as W3C Trace Context has them (section 3.2.2). */
export class SpanIds {
  #digits = "";
  #at = 0;

  traceId(): string {
    return this.#take(TRACE_ID_DIGITS);
  }

  spanId(): string {
    return this.#take(SPAN_ID_DIGITS);
  }

  #take(count: number): string {
    if (this.#at + count > this.#digits.length) {
      this.#digits = draw().toHex();
      this.#at = 0;
    }
    const start = this.#at;
    this.#at = start + count;
    return this.#digits.slice(start, start + count);
  }
}

/** Without eight zeros side by side: they would be no id. */
function draw(): Uint8Array {
  const bytes = crypto.getRandomValues(new Uint8Array(DRAWN));
  const words = new BigUint64Array(bytes.buffer);
  for (let i = 0; i < DRAWN / SPAN_ID_BYTES; i++) if (words[i] === 0n) words[i] = 1n;
  return bytes;
}
