import { expect, test } from "bun:test";
import { RequestFields } from "../../src/proxy/request-fields.ts";

const fields = new RequestFields([
  "X-M",
  "a",
  "Host",
  "h",
  "x-m",
  "b",
  "Cookie",
  "1",
  "cookie",
  "2",
]);

test("lines of one name are one value, in their order, whatever their case", () => {
  expect(fields.get("x-M")).toBe("a, b");
  expect(fields.get("cookie")).toBe("1; 2");
  expect(fields.get("none")).toBeNull();
  expect([fields.has("HOST"), fields.has("none")]).toEqual([true, false]);
});

test("each line is there as it was sent", () => {
  const lines: string[][] = [];
  fields.forEach((value, name, key) => lines.push([name, key, value]));
  expect(lines.slice(0, 3)).toEqual([
    ["X-M", "x-m", "a"],
    ["Host", "host", "h"],
    ["x-m", "x-m", "b"],
  ]);
});
