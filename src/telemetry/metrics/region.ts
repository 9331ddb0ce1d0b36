/**
 * The memory in which one process keeps its series, and another reads them.
 *
 * It is a table that only grows: a header, then entries. An entry is written first and counted in
 * the header's length last, so that a reader never sees half of one; its numbers are changed in
 * place from then on, by one process alone. A number of eight bytes is read and written at once, so
 * every count is one that was true. A histogram's count is the sum of its buckets and stored
 * nowhere: two numbers that had to agree could be seen, or left by a death, disagreeing.
 */
import type { Instrument } from "./instrument.ts";
import { valueCount } from "./instrument.ts";

/** Everything lies on cells of eight bytes, of two words each. */
export const CELL_BYTES = 8;
export const HEADER_CELLS = 1;
/** Word of the header: cells in use, the header's included. */
export const LENGTH = 0;

/** Words of an entry; its numbers follow, then its labels as text. */
export const ENTRY_LENGTH = 0;
/** Place in the list of instruments, or `EXEMPLARS`. */
export const ENTRY_INSTRUMENT = 1;
export const ENTRY_TEXT_BYTES = 2;
/** Cell of the entry with the series' exemplars; 0: there is none. */
export const ENTRY_EXEMPLARS = 3;
export const ENTRY_HEAD_CELLS = 2;

/** In place of an instrument: the exemplars of a series, one after the other. */
export const EXEMPLARS = -1;

/** In place of labels: the series for everything that found no room. */
export const OVERFLOW_TEXT = "";

/** Cells of an entry with labels of so many bytes. */
export function entryCells(instrument: Instrument, textBytes: number): number {
  return ENTRY_HEAD_CELLS + valueCount(instrument) + Math.ceil(textBytes / CELL_BYTES);
}

/** A series takes 150 to 350 bytes, and 750 more once it has exemplars. */
const BASE_BYTES = 512 * 1024;
const BYTES_PER_BACKEND = 1024;

/** Words of a worker's region, for as many backends as there may be. */
export function regionLength(backends: number): number {
  return (BASE_BYTES + backends * BYTES_PER_BACKEND) / Int32Array.BYTES_PER_ELEMENT;
}

/** How much of a region is in use, from 0 to 1. */
export function fillOf(words: Int32Array): number {
  return Atomics.load(words, LENGTH) / (words.length >> 1);
}

/** The same memory as numbers of eight bytes. Throws RangeError when it is not aligned to them. */
export function asFloats(words: Int32Array): Float64Array {
  return new Float64Array(words.buffer, words.byteOffset, words.length >> 1);
}
