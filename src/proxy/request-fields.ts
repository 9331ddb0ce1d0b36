import type { HeaderReader } from "../plugin.ts";

/** The field lines of a request, as they were sent. */
export interface RequestHeaders extends HeaderReader {
  /** All lines of this name, joined in their order (RFC 9110, 5.3); cookies with `; ` (RFC 6265, 5.4). */
  get(name: string): string | null;
  /** Every line, in order; `key` is its name in lower case. */
  forEach(each: (value: string, name: string, key: string) => void): void;
}

export class RequestFields implements RequestHeaders {
  readonly #lines: readonly string[];
  readonly #keys: string[] = [];

  /** A flat list: name, value, name, value. */
  constructor(lines: readonly string[]) {
    this.#lines = lines;
    for (let i = 0; i < lines.length; i += 2) this.#keys.push((lines[i] as string).toLowerCase());
  }

  get(name: string): string | null {
    const key = name.toLowerCase();
    const first = this.#keys.indexOf(key);
    if (first < 0) return null;
    let value = this.#value(first);
    for (let i = this.#next(key, first); i >= 0; i = this.#next(key, i)) {
      value += `${key === "cookie" ? "; " : ", "}${this.#value(i)}`;
    }
    return value;
  }

  has(name: string): boolean {
    return this.#keys.includes(name.toLowerCase());
  }

  forEach(each: (value: string, name: string, key: string) => void): void {
    for (const [i, key] of this.#keys.entries()) {
      each(this.#value(i), this.#lines[2 * i] as string, key);
    }
  }

  #next(key: string, after: number): number {
    return this.#keys.indexOf(key, after + 1);
  }

  #value(index: number): string {
    return this.#lines[2 * index + 1] as string;
  }
}
