import { describe, expect, test } from "bun:test";
import { createRandom } from "../../../src/strategy/random.ts";
import { atPlaces, orderOf, placesOf } from "../../../src/strategy/shadow/candidate-mask.ts";

const backends = (count: number) =>
  Array.from({ length: count }, (_, place) => ({ id: `${place}` }));

test("some of a list are found again in it, however long it is and whoever they are", () => {
  const random = createRandom(1);
  for (let count = 1; count <= 70; count++) {
    const all = backends(count);
    for (const share of [0, 0.1, 0.5, 0.9, 1]) {
      const some = all.filter(() => random() < share);
      const places = placesOf(all, some);
      expect(places).toHaveLength(Math.ceil(count / 4));
      expect(atPlaces(all, places)).toEqual(some);
      // Nothing is escaped.
      expect(JSON.stringify(places)).toHaveLength(places.length + 2);
    }
  }
});

test("the first backend is the lowest bit of the first character", () => {
  const all = backends(6);
  const some = all.filter((_, place) => [0, 3, 5].includes(place));
  expect(placesOf(all, some)).toBe("92");
});

describe("the number of a list", () => {
  const list = (...ids: string[]) => orderOf(ids.map((id) => ({ id })));

  test("is the same for the same ids in the same order, and whole", () => {
    expect(list("a", "b")).toBe(list("a", "b"));
    expect(Number.isSafeInteger(orderOf(backends(1000)))).toBe(true);
  });

  test("is another one when a backend comes, goes, or changes its place", () => {
    const all = [
      list("a", "b", "c"),
      list("a", "c", "b"),
      list("a", "b"),
      list("a", "b", "d"),
      list("ab", "c"),
      list('a","b', "c"),
    ];
    expect(new Set(all).size).toBe(all.length);
  });
});
