import { weightedDraw } from "./weighted-draw.ts";
import type { Weighted } from "./weighted.ts";

interface Turn {
  /** Turns that it is behind its share; the furthest behind is next. */
  behind: number;
}

/**
 * Smooth weighted round robin, as in nginx (`src/http/ngx_http_upstream_round_robin.c`): weights
 * 5, 1 and 1 give a a b a c a a instead of a a a a a b c. Over any stretch everybody is within about
 * a turn of its share.
 *
 * The state belongs to the backend, not to a position in a list, so the set may differ from call to
 * call: who is missing keeps its place, and gets no burst when it returns. Counted in turns, where
 * nginx counts in weights: there a turn in a small set costs less than one in a large set, and when
 * a third backend comes and goes with every pick, the other two get 3 : 2 instead of 1 : 1.
 *
 * The first turn is drawn by lot, because many workers that all start with the heaviest backend would
 * hit it together.
 */
export class SmoothWeighted {
  readonly #random: () => number;
  readonly #turns = new WeakMap<Weighted, Turn>();
  #started = false;

  /** `random` is uniform in [0, 1). */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** The next of the first `length` members of a list. Throws RangeError when there is none. */
  next<T extends Weighted>(list: readonly T[], length: number = list.length): T {
    let total = 0;
    for (let index = 0; index < length; index++) total += (list[index] as T).weight;
    const drawn = this.#started || length < 2 ? null : weightedDraw(list, this.#random, length);
    let best: T | undefined;
    let bestTurn: Turn | undefined;
    for (let index = 0; index < length; index++) {
      const one = list[index] as T;
      const share = one.weight / total;
      const turn = this.#turnOf(one, share);
      turn.behind += share;
      const better = drawn === null ? turn.behind > (bestTurn?.behind ?? -Infinity) : one === drawn;
      if (bestTurn === undefined || better) {
        best = one;
        bestTurn = turn;
      }
    }
    if (best === undefined || bestTurn === undefined) throw new RangeError("nobody to take a turn");
    if (drawn !== null) this.#started = true;
    bestTurn.behind -= 1;
    return best;
  }

  #turnOf(one: Weighted, share: number): Turn {
    let turn = this.#turns.get(one);
    if (turn === undefined) {
      // Less than its share either way: enough that equals do not go in the order of the list.
      turn = { behind: (this.#random() - 0.5) * share };
      this.#turns.set(one, turn);
    }
    return turn;
  }
}
