import type { Exemplar } from "./exemplar.ts";
import { type Instrument, isMonotonic, type LabelValues } from "./instrument.ts";
import { readLabelValues } from "./label-text.ts";
import { OVERFLOW_TEXT } from "./region.ts";
import type { ReadSeries } from "./region-reader.ts";
import { type Labels, type Metric, namedLabels, OVERFLOW_LABELS } from "./snapshot.ts";

interface Total {
  readonly values: Float64Array;
  exemplars: readonly (Exemplar | null)[];
}

/** Series of several regions, added up by instrument and labels. */
export class Totals {
  readonly #instruments: readonly Instrument[];
  readonly #totals = new Map<Instrument, Map<string, Total>>();

  /** `instruments`: in the order in which `metrics` shows them. */
  constructor(instruments: readonly Instrument[]) {
    this.#instruments = instruments;
  }

  add(series: Iterable<ReadSeries>): void {
    for (const { instrument, text, values, exemplars } of series) {
      const total = this.#find(instrument, text, values.length);
      for (const [index, value] of values.entries()) {
        total.values[index] = (total.values[index] ?? 0) + value;
      }
      total.exemplars = newest(total.exemplars, exemplars);
    }
  }

  /** Adds what outlives its process: what a dead one had under way is not under way any more. */
  retire(series: Iterable<ReadSeries>): void {
    this.add([...series].filter(({ instrument }) => isMonotonic(instrument)));
  }

  addAll(other: Totals): void {
    for (const [instrument, totals] of other.#totals) {
      this.add([...totals].map(([text, total]) => ({ instrument, text, ...total })));
    }
  }

  /** Those series are no more. */
  remove(isOver: (instrument: Instrument, text: string) => boolean): void {
    for (const [instrument, totals] of this.#totals) {
      for (const text of totals.keys()) if (isOver(instrument, text)) totals.delete(text);
    }
  }

  /** One number of one series. */
  addNumber(instrument: Instrument, labels: LabelValues, value: number): void {
    const values = Float64Array.of(value);
    this.add([{ instrument, text: JSON.stringify(labels), values, exemplars: [] }]);
  }

  metrics(): Metric[] {
    return this.#instruments.flatMap((instrument) => {
      const totals = [...(this.#totals.get(instrument) ?? [])];
      totals.sort(([one], [two]) => (one < two ? -1 : 1));
      const points = totals.flatMap(([text, { values, exemplars }]) => {
        const labels = readLabels(instrument, text);
        return labels === null ? [] : [{ labels, values, exemplars }];
      });
      return points.length === 0 ? [] : [{ instrument, points }];
    });
  }

  #find(instrument: Instrument, text: string, length: number): Total {
    let totals = this.#totals.get(instrument);
    if (totals === undefined) {
      totals = new Map();
      this.#totals.set(instrument, totals);
    }
    let total = totals.get(text);
    if (total === undefined) {
      total = { values: new Float64Array(length), exemplars: [] };
      totals.set(text, total);
    }
    return total;
  }
}

function newest(
  some: readonly (Exemplar | null)[],
  others: readonly (Exemplar | null)[],
): readonly (Exemplar | null)[] {
  if (others.length === 0) return some;
  return others.map((other, bucket) => {
    const one = some[bucket] ?? null;
    if (one === null || other === null) return one ?? other;
    return one.timeMs > other.timeMs ? one : other;
  });
}

function readLabels(instrument: Instrument, text: string): Labels | null {
  if (text === OVERFLOW_TEXT) return OVERFLOW_LABELS;
  const values = readLabelValues(instrument, text);
  return values === null ? null : namedLabels(instrument, values);
}
