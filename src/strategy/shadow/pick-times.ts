/** Buckets per factor of two: a quantile is right to a tenth. */
const PER_OCTAVE = 8;
/** The last bucket begins beyond a minute. */
const BUCKETS = 36 * PER_OCTAVE;

/** How long picks took, in memory that does not grow with their number. */
export class PickTimes {
  readonly #counts = new Float64Array(BUCKETS);
  #count = 0;
  #sumNs = 0;

  get count(): number {
    return this.#count;
  }

  get sumMs(): number {
    return this.#sumNs / 1e6;
  }

  add(ns: number): void {
    this.#count++;
    this.#sumNs += ns;
    const bucket = Math.floor(Math.log2(Math.max(ns, 1)) * PER_OCTAVE);
    const index = Math.min(bucket, BUCKETS - 1);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
  }

  /** How many took up to each of these milliseconds, and longer than the one before; at the end, the rest. */
  countUpTo(boundsMs: readonly number[]): number[] {
    const counts = Array.from({ length: boundsMs.length + 1 }, () => 0);
    let place = 0;
    for (const [index, count] of this.#counts.entries()) {
      while (place < boundsMs.length && middleMs(index) > (boundsMs[place] ?? 0)) place++;
      counts[place] = (counts[place] ?? 0) + count;
    }
    return counts;
  }

  /** In milliseconds, the middle of its bucket; null when nothing was picked. */
  quantileMs(share: number): number | null {
    let left = share * this.#count;
    for (const [index, count] of this.#counts.entries()) {
      left -= count;
      if (count > 0 && left <= 0) return middleMs(index);
    }
    return null;
  }
}

function middleMs(bucket: number): number {
  return 2 ** ((bucket + 0.5) / PER_OCTAVE) / 1e6;
}
