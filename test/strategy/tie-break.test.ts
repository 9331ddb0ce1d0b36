import { describe, expect, test } from "bun:test";
import { SmoothWeighted } from "../../plugins/smooth-weighted.ts";
import type { Backend } from "../../src/plugin.ts";
import { createRandom } from "../../src/strategy/random.ts";
import { TieBreak } from "../../src/strategy/tie-break.ts";

function backend(id: string, weight = 1): Backend {
  return {
    id,
    url: `http://${id}`,
    weight,
    labels: {},
    health: "healthy",
    draining: false,
    inFlight: 0,
  };
}

function winner(ties: TieBreak, scores: readonly (readonly [Backend, number])[]): Backend | null {
  ties.begin();
  for (const [one, score] of scores) ties.offer(one, score);
  return ties.winner();
}

const a = backend("a");
const b = backend("b");
const c = backend("c", 3);

describe("the lowest score", () => {
  test("wins, wherever it stands", () => {
    const ties = new TieBreak(new SmoothWeighted(createRandom(1)));
    expect(
      winner(ties, [
        [a, 2],
        [b, 1],
        [c, 3],
      ]),
    ).toBe(b);
    expect(
      winner(ties, [
        [a, -1],
        [b, 1],
        [c, 3],
      ]),
    ).toBe(a);
    expect(
      winner(ties, [
        [a, 2],
        [b, 1],
        [c, 0.5],
      ]),
    ).toBe(c);
  });

  test("is nobody's when all scores are Infinity", () => {
    const ties = new TieBreak(new SmoothWeighted(createRandom(1)));
    expect(
      winner(ties, [
        [a, Infinity],
        [b, Infinity],
      ]),
    ).toBe(null);
    expect(
      winner(ties, [
        [a, Infinity],
        [b, 1e308],
      ]),
    ).toBe(b);
  });

  test("is shared by weight when several have it, and never with those that have not", () => {
    for (let seed = 0; seed < 20; seed++) {
      const ties = new TieBreak(new SmoothWeighted(createRandom(seed)));
      let heavy = 0;
      for (let index = 0; index < 4000; index++) {
        const one = winner(ties, [
          [b, 7],
          [a, 5],
          [c, 5],
        ]);
        expect(one).not.toBe(b);
        if (one === c) heavy++;
      }
      expect(heavy).toBe(3000);
    }
  });

  test("is not remembered from one pick to the next", () => {
    const ties = new TieBreak(new SmoothWeighted(createRandom(1)));
    const all = [
      [a, 1],
      [b, 1],
      [c, 1],
    ] as const;
    for (let index = 0; index < 20; index++) {
      winner(ties, all);
      expect(
        winner(ties, [
          [a, 1],
          [b, 1],
          [c, 6],
        ]),
      ).not.toBe(c);
    }
    expect(
      winner(ties, [
        [a, 5],
        [b, 6],
      ]),
    ).toBe(a);
  });
});
