import { describe, expect, test } from "bun:test";
import { jsonLoss } from "../../src/strategy/json-loss.ts";

describe("what JSON keeps", () => {
  for (const value of [null, 0, -1.5, "", true, [], {}, { a: [{ b: null }], c: undefined }]) {
    test(JSON.stringify(value), () => expect(jsonLoss(value)).toBe(null));
  }
});

describe("what JSON loses is named with its place", () => {
  class Counter {
    readonly count = 1;
  }
  const cases: readonly (readonly [value: unknown, loss: string])[] = [
    [NaN, "it is NaN, which comes back as null"],
    [{ a: { b: Infinity } }, "a.b is Infinity, which comes back as null"],
    [[1, new Map()], "[1] is a Map"],
    [{ list: [1, 2, undefined] }, "list[2] is undefined"],
    [{ at: new Date(0) }, "at is a Date"],
    [new Counter(), "it is a Counter"],
    [{ big: 1n }, "big is 1"],
  ];
  for (const [value, loss] of cases) test(loss, () => expect(jsonLoss(value)).toBe(loss));
});

function nested(levels: number): unknown {
  let value: unknown = [];
  for (let level = 1; level < levels; level++) value = { next: value };
  return value;
}

describe("what contains itself is named with the place that it leads back to", () => {
  const whole: { self?: unknown } = {};
  whole.self = whole;
  const list: unknown[] = [1];
  list.push({ list });
  const inner: { up?: unknown } = {};
  inner.up = [inner];
  const cases: readonly (readonly [value: unknown, loss: string])[] = [
    [whole, "self leads back to the whole, in a circle"],
    [list, "[1].list leads back to the whole, in a circle"],
    [{ a: { inner } }, "a.inner.up[0] leads back to a.inner, in a circle"],
  ];
  for (const [value, loss] of cases) test(loss, () => expect(jsonLoss(value)).toBe(loss));

  test("what is there twice is no circle", () => {
    const shared = { n: 1 };
    expect(jsonLoss({ one: shared, list: [shared, shared] })).toBe(null);
  });
});

describe("what is nested deeply", () => {
  test("comes back from 500 levels", () => {
    const value = nested(500);
    expect(jsonLoss(value)).toBe(null);
    expect(JSON.parse(JSON.stringify(value))).toEqual(value);
  });

  for (const levels of [501, 20_000]) {
    test(`is refused at ${levels} levels, with the beginning of its place`, () => {
      const place = `${"next.".repeat(12)}…`;
      expect(jsonLoss(nested(levels))).toBe(`${place} is more than 500 levels deep`);
    });
  }
});
