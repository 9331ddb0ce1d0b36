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
