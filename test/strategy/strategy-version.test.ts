import { expect, test } from "bun:test";
import {
  isSameVersion,
  listChanged,
  nameVersion,
  type StrategyVersion,
} from "../../src/strategy/strategy-version.ts";

function mine(options?: unknown, version = "1"): StrategyVersion {
  return {
    name: "mine",
    version,
    source: "./mine.ts",
    ...(options === undefined ? {} : { options }),
  };
}

test("a strategy with other options is another version; the order of their keys, or none at all, is nothing", () => {
  expect(isSameVersion(mine({ a: 1, b: [2] }), mine({ b: [2], a: 1 }))).toBe(true);
  expect(isSameVersion(mine(), mine({}))).toBe(true);
  expect(isSameVersion(mine({ a: 1 }), mine({ a: 2 }))).toBe(false);
  expect(isSameVersion(mine({ a: 1 }), mine())).toBe(false);
  expect(isSameVersion(mine([1]), mine([2]))).toBe(false);
  expect(isSameVersion(mine({}, "1"), mine({}, "2"))).toBe(false);
  expect(nameVersion(mine())).toBe("mine 1");
});

test("changed options are told by name, and never by a value", () => {
  const secret = (value: string) => mine({ apiToken: value, zone: { name: "a" }, same: 1 });
  expect(listChanged(secret("s3cret"), secret("0ther"))).toBe("apiToken");
  expect(listChanged(secret("s3cret"), mine({ same: 1 }))).toBe("apiToken, zone");
  expect(listChanged(mine(["s3cret"]), mine([]))).toBe("options");
});

test("a name that is no word is quoted, and of many there are five", () => {
  expect(listChanged(mine({ "a\u001b[2J": 1 }), mine())).toBe('"a\\u001b[2J"');
  const many = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`k${index}`, index]));
  expect(listChanged(mine(many), mine())).toBe("k0, k1, k2, k3, k4 and 4 more");
});
