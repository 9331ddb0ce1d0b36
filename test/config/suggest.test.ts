import { expect, test } from "bun:test";
import { suggest } from "../../src/config/suggest.ts";

const keys = ["listen", "pools", "routes", "admin", "workers", "shutdown", "url"];

test.each([
  ["lisen", "listen"],
  ["pool", "pools"],
  ["Workers", "workers"],
  ["ulr", "url"],
])("%s was meant to be %s", (typed, meant) => {
  expect(suggest(typed, keys)).toBe(meant);
});

test.each(["telemetry", "x", ""])("%p is near nothing", (typed) => {
  expect(suggest(typed, keys)).toBeNull();
});
