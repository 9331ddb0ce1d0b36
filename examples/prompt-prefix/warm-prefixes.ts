/** A prefix that many ask for is warm in more places than anybody needs to know of. */
const MOST_PLACES = 4;

/** Which backends have seen a prefix: the last so many prefixes, the longest unused forgotten first. */
export class WarmPrefixes {
  readonly #limit: number;
  /** A Map keeps the order in which its keys were set. */
  readonly #places = new Map<string, readonly string[]>();

  /** `previous` is what `entries()` gave, or anything else, which counts as nothing. */
  constructor(limit: number, previous: unknown) {
    this.#limit = limit;
    if (!Array.isArray(previous)) return;
    for (const entry of previous as unknown[]) {
      if (!Array.isArray(entry)) continue;
      const [prefix, ids] = entry as unknown[];
      if (typeof prefix !== "string" || !Array.isArray(ids)) continue;
      for (const id of ids as unknown[]) if (typeof id === "string") this.add(prefix, id);
    }
  }

  /** Ids of backends, the last one at the end. */
  get(prefix: string): readonly string[] {
    return this.#places.get(prefix) ?? [];
  }

  add(prefix: string, id: string): void {
    const others = this.get(prefix).filter((other) => other !== id);
    this.#places.delete(prefix);
    this.#places.set(prefix, [...others, id].slice(-MOST_PLACES));
    const [oldest] = this.#places.keys();
    if (this.#places.size > this.#limit && oldest !== undefined) this.#places.delete(oldest);
  }

  /** What the backend had in its memory is gone. */
  forget(id: string): void {
    for (const [prefix, ids] of this.#places) {
      if (!ids.includes(id)) continue;
      const others = ids.filter((other) => other !== id);
      if (others.length > 0) this.#places.set(prefix, others);
      else this.#places.delete(prefix);
    }
  }

  /** Plain data, the longest unused first. */
  entries(): unknown {
    return [...this.#places];
  }
}
