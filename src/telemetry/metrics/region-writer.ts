import { EXEMPLAR_CELLS, type SampledSpan, writeExemplar } from "./exemplar.ts";
import { type Instrument, type LabelValues, valueCount } from "./instrument.ts";
import {
  asFloats,
  CELL_BYTES,
  ENTRY_EXEMPLARS,
  ENTRY_HEAD_CELLS,
  ENTRY_INSTRUMENT,
  ENTRY_LENGTH,
  ENTRY_TEXT_BYTES,
  entryCells,
  EXEMPLARS,
  HEADER_CELLS,
  LENGTH,
  OVERFLOW_TEXT,
} from "./region.ts";

export interface RegionWriterOptions {
  /** Of this writer alone, all zeros, aligned to eight bytes. */
  readonly words: Int32Array;
  readonly instruments: readonly Instrument[];
  /** Called once, when the first series found no room. */
  onFull?(instrument: Instrument): void;
}

/**
 * Keeps series in a region. Asking for one is for the first time that its labels are seen: keep
 * what is returned. The same labels give the same series.
 *
 * Where there is no room for another series, the instrument's overflow series is returned in its
 * place, as the metrics SDK specification has it ("Cardinality limits"): nothing goes uncounted.
 */
export class RegionWriter {
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  readonly #instruments: readonly Instrument[];
  readonly #onFull: ((instrument: Instrument) => void) | undefined;
  readonly #series = new Map<string, Series>();
  /** Kept free for an overflow series of each instrument. */
  readonly #reserved: number;
  #full = false;

  /** Throws RangeError when not even the overflow series fit. */
  constructor(options: RegionWriterOptions) {
    const { words, instruments } = options;
    this.#words = words;
    this.#floats = asFloats(words);
    this.#instruments = instruments;
    this.#onFull = options.onFull?.bind(options);
    this.#reserved = instruments.reduce((sum, each) => sum + entryCells(each, 0), 0);
    const least = HEADER_CELLS + this.#reserved;
    if (this.#floats.length < least) {
      throw new RangeError(`a region needs ${least} cells, got ${this.#floats.length}`);
    }
    Atomics.store(words, LENGTH, HEADER_CELLS);
  }

  /** A counter, an up-down counter or a gauge. */
  number(instrument: Instrument, labels: LabelValues): NumberSeries {
    return this.#find(instrument, labels, NumberSeries);
  }

  histogram(instrument: Instrument, labels: LabelValues): HistogramSeries {
    return this.#find(instrument, labels, HistogramSeries);
  }

  #find<Kind extends Series>(
    instrument: Instrument,
    labels: LabelValues,
    kind: SeriesClass<Kind>,
  ): Kind {
    const place = this.#instruments.indexOf(instrument);
    if (place < 0) throw new Error(`${instrument.name} is not among this region's instruments`);
    const text = JSON.stringify(labels);
    const found = this.#series.get(`${place} ${text}`) as Kind | undefined;
    return found ?? this.#add(place, instrument, text, kind) ?? this.#overflow(place, kind);
  }

  #overflow<Kind extends Series>(place: number, kind: SeriesClass<Kind>): Kind {
    const instrument = this.#instruments[place] as Instrument;
    if (!this.#full) this.#onFull?.(instrument);
    this.#full = true;
    const found = this.#series.get(`${place} ${OVERFLOW_TEXT}`) as Kind | undefined;
    const series = found ?? this.#add(place, instrument, OVERFLOW_TEXT, kind);
    if (series === null) throw new Error("the reserve of a region is too small");
    return series;
  }

  #add<Kind extends Series>(
    place: number,
    instrument: Instrument,
    text: string,
    kind: SeriesClass<Kind>,
  ): Kind | null {
    const bytes = new TextEncoder().encode(text);
    const cells = entryCells(instrument, bytes.length);
    const cell = this.#used();
    const reserved = text === OVERFLOW_TEXT ? 0 : this.#reserved;
    if (cell + cells + reserved > this.#floats.length) return null;
    const head = cell * 2;
    this.#words[head + ENTRY_INSTRUMENT] = place;
    this.#words[head + ENTRY_TEXT_BYTES] = bytes.length;
    const values = cell + ENTRY_HEAD_CELLS;
    this.#write(bytes, values + valueCount(instrument));
    this.#commit(cell, cells);
    const addExemplars = (): number => this.#addExemplars(cell, instrument);
    const series = new kind(this.#words, this.#floats, values, instrument, addExemplars);
    this.#series.set(`${place} ${text}`, series);
    return series;
  }

  /** Returns the first one's cell; 0: no room. Series come first: exemplars get no more than half. */
  #addExemplars(series: number, { bounds }: Instrument): number {
    const cells = ENTRY_HEAD_CELLS + (bounds.length + 1) * EXEMPLAR_CELLS;
    const cell = this.#used();
    if (cell + cells > this.#floats.length / 2) return 0;
    this.#words[cell * 2 + ENTRY_INSTRUMENT] = EXEMPLARS;
    this.#commit(cell, cells);
    const first = cell + ENTRY_HEAD_CELLS;
    Atomics.store(this.#words, series * 2 + ENTRY_EXEMPLARS, first);
    return first;
  }

  #used(): number {
    return Atomics.load(this.#words, LENGTH);
  }

  #commit(cell: number, cells: number): void {
    this.#words[cell * 2 + ENTRY_LENGTH] = cells;
    Atomics.store(this.#words, LENGTH, cell + cells);
  }

  #write(bytes: Uint8Array, cell: number): void {
    const { buffer, byteOffset } = this.#words;
    new Uint8Array(buffer, byteOffset + cell * CELL_BYTES, bytes.length).set(bytes);
  }
}

type Series = NumberSeries | HistogramSeries;
type SeriesClass<Kind extends Series> = new (
  words: Int32Array,
  floats: Float64Array,
  cell: number,
  instrument: Instrument,
  addExemplars: () => number,
) => Kind;

/** One number that is added to. */
export class NumberSeries {
  readonly #floats: Float64Array;
  readonly #cell: number;

  constructor(_words: Int32Array, floats: Float64Array, cell: number) {
    this.#floats = floats;
    this.#cell = cell;
  }

  add(amount: number): void {
    this.#floats[this.#cell] = (this.#floats[this.#cell] ?? 0) + amount;
  }
}

/** A sum, and a count per bucket. */
export class HistogramSeries {
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  readonly #cell: number;
  readonly #bounds: readonly number[];
  readonly #addExemplars: () => number;
  /** Cell of the first bucket's; 0: no room, null: none was wanted yet. */
  #exemplars: number | null = null;

  constructor(
    words: Int32Array,
    floats: Float64Array,
    cell: number,
    { bounds }: Instrument,
    addExemplars: () => number,
  ) {
    this.#words = words;
    this.#floats = floats;
    this.#cell = cell;
    this.#bounds = bounds;
    this.#addExemplars = addExemplars;
  }

  /** A bound belongs to the bucket below it. `span`: null when the request is not traced. */
  record(value: number, span: SampledSpan | null): void {
    const floats = this.#floats;
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++;
    const count = this.#cell + 1 + bucket;
    floats[count] = (floats[count] as number) + 1;
    floats[this.#cell] = (floats[this.#cell] as number) + value;
    if (span !== null) this.#keep(bucket, value, span);
  }

  #keep(bucket: number, value: number, span: SampledSpan): void {
    this.#exemplars ??= this.#addExemplars();
    if (this.#exemplars === 0) return;
    const cell = this.#exemplars + bucket * EXEMPLAR_CELLS;
    writeExemplar(this.#words, this.#floats, cell, value, span);
  }
}
