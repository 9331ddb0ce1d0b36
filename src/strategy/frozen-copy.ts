import type { Backend, Candidates } from "../plugin.ts";

/**
 * The candidates as a list that a strategy cannot change. Nearly always they are those of the pick
 * before, and comparing them is many times cheaper than freezing them again: JavaScriptCore moves
 * the elements of a frozen array to a slower kind of storage, and reads them from there about ten
 * times slower. Therefore nothing but a strategy's `pick` is given frozen lists.
 */
export class FrozenCopy {
  #plain: readonly Backend[] = [];
  #frozen: Candidates | null = null;

  of(candidates: Candidates): Candidates {
    if (this.#frozen !== null && this.#isLast(candidates)) return this.#frozen;
    this.#plain = [...candidates];
    this.#frozen = Object.freeze([...candidates] as const);
    return this.#frozen;
  }

  #isLast(candidates: Candidates): boolean {
    const plain = this.#plain;
    if (plain.length !== candidates.length) return false;
    for (let index = 0; index < plain.length; index++) {
      if (plain[index] !== candidates[index]) return false;
    }
    return true;
  }
}
