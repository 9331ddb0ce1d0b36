import { expect, test } from "bun:test";
import { toPlainData } from "../../src/config/plain-data.ts";

test("data comes through as it is, without symbol keys", () => {
  const data = { a: [1, "x", null, true, { b: undefined }] };
  const { data: copy, problems } = toPlainData({ ...data, [Symbol("format")]: 1 });
  expect(problems).toEqual([]);
  expect(copy).toEqual(data);
  expect(Object.getOwnPropertySymbols(copy as object)).toEqual([]);
});

test("every thing that is no data is named with its path", () => {
  const loop: Record<string, unknown> = {};
  loop["self"] = loop;
  const { problems } = toPlainData({
    pools: { web: { strategy: () => 1, backends: ["http://a", new Date(0)] } },
    big: 1n,
    made: new (class Thing {})(),
    loop,
  });
  expect(problems.map(({ path, message }) => `${path}: ${message.split(";")[0]}`)).toEqual([
    "pools.web.strategy: is a function",
    "pools.web.backends[1]: is an instance of Date",
    "big: is a bigint",
    "made: is an instance of Thing",
    "loop.self: is an object that contains itself",
  ]);
});

test("the same object in two places is no loop", () => {
  const shared = { timeout: "1s" };
  expect(toPlainData({ a: shared, b: shared }).problems).toEqual([]);
});

test("a key that would vanish is refused", () => {
  const { problems } = toPlainData(JSON.parse('{ "pools": { "__proto__": {} } }'));
  expect(problems).toEqual([{ path: "pools.__proto__", message: "is no name for a key" }]);
});

test("a getter that throws is a problem at its place", () => {
  const value = {
    pools: {
      get web(): never {
        throw new Error("no");
      },
    },
  };
  expect(toPlainData(value).problems).toEqual([
    { path: "pools.web", message: "threw while it was read: no" },
  ]);
});
