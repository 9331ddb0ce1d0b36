import { type Exemplar, EXEMPLAR_CELLS, readExemplar } from "./exemplar.ts";
import { type Instrument, valueCount } from "./instrument.ts";
import {
  asFloats,
  CELL_BYTES,
  ENTRY_EXEMPLARS,
  ENTRY_HEAD_CELLS,
  ENTRY_INSTRUMENT,
  ENTRY_LENGTH,
  ENTRY_TEXT_BYTES,
  entryCells,
  HEADER_CELLS,
  LENGTH,
} from "./region.ts";

/** One series, as it was at the moment of reading. */
export interface ReadSeries {
  readonly instrument: Instrument;
  /** The labels' values as JSON; empty: what found no room (see `RegionWriter`). */
  readonly text: string;
  /** One number, or a histogram's sum and the counts of its buckets. */
  readonly values: Float64Array;
  /** Per bucket, null where there is none; empty for all but histograms with exemplars. */
  readonly exemplars: readonly (Exemplar | null)[];
}

/**
 * Everything that a region holds, also while its owner writes. What cannot be an entry ends it: the
 * owner runs strategies, and what one of them may have damaged must not bring the reader down.
 */
export function readRegion(words: Int32Array, instruments: readonly Instrument[]): ReadSeries[] {
  const floats = asFloats(words);
  const end = Math.min(Atomics.load(words, LENGTH), floats.length);
  const all: ReadSeries[] = [];
  for (let cell = HEADER_CELLS; cell < end;) {
    const head = cell * 2;
    const cells = words[head + ENTRY_LENGTH] ?? 0;
    if (cells < ENTRY_HEAD_CELLS || cell + cells > end) break;
    const instrument = instruments[words[head + ENTRY_INSTRUMENT] ?? -1];
    const bytes = words[head + ENTRY_TEXT_BYTES] ?? 0;
    if (instrument !== undefined && bytes >= 0 && entryCells(instrument, bytes) === cells) {
      const values = cell + ENTRY_HEAD_CELLS;
      const text = values + valueCount(instrument);
      all.push({
        instrument,
        text: readText(words, text, bytes),
        values: floats.slice(values, text),
        exemplars: readExemplars(words, floats, head, instrument),
      });
    }
    cell += cells;
  }
  return all;
}

/** Empties a region whose owner is dead. */
export function clearRegion(words: Int32Array): void {
  Atomics.store(words, LENGTH, 0);
  words.fill(0);
}

function readText(words: Int32Array, cell: number, bytes: number): string {
  const { buffer, byteOffset } = words;
  return new TextDecoder().decode(new Uint8Array(buffer, byteOffset + cell * CELL_BYTES, bytes));
}

function readExemplars(
  words: Int32Array,
  floats: Float64Array,
  head: number,
  { kind, bounds }: Instrument,
): readonly (Exemplar | null)[] {
  const first = Atomics.load(words, head + ENTRY_EXEMPLARS);
  const count = bounds.length + 1;
  if (kind !== "histogram" || first <= 0 || first + count * EXEMPLAR_CELLS > floats.length) {
    return [];
  }
  return Array.from({ length: count }, (_, bucket) =>
    readExemplar(words, floats, first + bucket * EXEMPLAR_CELLS),
  );
}
