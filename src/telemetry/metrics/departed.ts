/** What reloads have removed is remembered for so long, for when another one brings it back. */
const KEPT_MS = 60 * 60 * 1000;

/** Attempts started at a backend, and those of them that count for its ejection. */
export interface BackendTotals {
  readonly requests: number;
  readonly failures: number;
}

const NOTHING: BackendTotals = { requests: 0, failures: 0 };

/** Pools and backends that are gone, and since when; what backends had counted when their row was given up. */
export class Departed {
  #inForce: ReadonlySet<string> = new Set();
  /** Unix time in milliseconds. */
  readonly #since = new Map<string, number>();
  readonly #totals = new Map<string, BackendTotals>();

  /** These are there now. */
  update(inForce: ReadonlySet<string>, nowMs: number): void {
    for (const subject of this.#inForce) {
      if (!inForce.has(subject)) this.#since.set(subject, nowMs);
    }
    for (const subject of inForce) this.#since.delete(subject);
    this.#inForce = inForce;
  }

  add(backend: string, { requests, failures }: BackendTotals): void {
    if (requests === 0 && failures === 0) return;
    const before = this.totals(backend);
    this.#totals.set(backend, {
      requests: before.requests + requests,
      failures: before.failures + failures,
    });
  }

  totals(backend: string): BackendTotals {
    return this.#totals.get(backend) ?? NOTHING;
  }

  longGone(nowMs: number): Set<string> {
    const long = [...this.#since].filter(([, sinceMs]) => nowMs - sinceMs >= KEPT_MS);
    return new Set(long.map(([subject]) => subject));
  }

  forget(subject: string): void {
    this.#since.delete(subject);
    this.#totals.delete(subject);
  }
}
