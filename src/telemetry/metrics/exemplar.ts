/** A measurement with the span in which it was made. */
export interface Exemplar {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  readonly value: number;
  /** Unix time in milliseconds. */
  readonly timeMs: number;
}

/** The span that a measurement belongs to. */
export type SampledSpan = Pick<Exemplar, "traceId" | "spanId">;

/**
 * One exemplar, in cells of eight bytes: a sequence number, time, value, trace id (two cells), span id.
 * The number is odd while it is written, so that a reader never takes half of one and half of another.
 */
export const EXEMPLAR_CELLS = 6;
const TIME = 1;
const VALUE = 2;
/** In words of four bytes, of which each holds eight hexadecimal digits. */
const IDS = 6;
const TRACE_WORDS = 4;
const SPAN_WORDS = 2;
const DIGITS = 8;

/** The same bucket gets no newer one within this time: writing one costs more than counting. */
const KEPT_MS = 1000;

export function writeExemplar(
  words: Int32Array,
  floats: Float64Array,
  cell: number,
  value: number,
  { traceId, spanId }: SampledSpan,
): void {
  const timeMs = Date.now();
  if (timeMs - (floats[cell + TIME] ?? 0) < KEPT_MS) return;
  const start = cell * 2;
  Atomics.add(words, start, 1);
  floats[cell + TIME] = timeMs;
  floats[cell + VALUE] = value;
  for (let i = 0; i < TRACE_WORDS; i++) {
    words[start + IDS + i] = Number.parseInt(traceId.slice(i * DIGITS, (i + 1) * DIGITS), 16);
  }
  for (let i = 0; i < SPAN_WORDS; i++) {
    const digits = spanId.slice(i * DIGITS, (i + 1) * DIGITS);
    words[start + IDS + TRACE_WORDS + i] = Number.parseInt(digits, 16);
  }
  Atomics.add(words, start, 1);
}

/** Null: there is none, or it is being written right now. */
export function readExemplar(
  words: Int32Array,
  floats: Float64Array,
  cell: number,
): Exemplar | null {
  const start = cell * 2;
  const sequence = Atomics.load(words, start);
  if (sequence === 0 || (sequence & 1) === 1) return null;
  const exemplar = {
    traceId: hex(words, start + IDS, TRACE_WORDS),
    spanId: hex(words, start + IDS + TRACE_WORDS, SPAN_WORDS),
    value: floats[cell + VALUE] ?? 0,
    timeMs: floats[cell + TIME] ?? 0,
  };
  return Atomics.load(words, start) === sequence ? exemplar : null;
}

function hex(words: Int32Array, from: number, count: number): string {
  let digits = "";
  for (let i = from; i < from + count; i++) {
    digits += ((words[i] ?? 0) >>> 0).toString(16).padStart(DIGITS, "0");
  }
  return digits;
}
