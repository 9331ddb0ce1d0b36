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

const names = ["least-connections", "round-robin", "random"];

test.each([
  ["leastconn", "least-connections"],
  ["least_conn", "least-connections"],
  ["roundrobin", "round-robin"],
  ["RR", "round-robin"],
  ["lc", "least-connections"],
])("the strategy %s was meant to be %s", (typed, meant) => {
  expect(suggest(typed, names)).toBe(meant);
});

test("the beginning of a flag is that flag, unless it begins two", () => {
  expect(suggest("--strat", ["--strategy", "--listen"])).toBe("--strategy");
  expect(suggest("max", ["maxIdle", "maxAge"])).toBeNull();
});

test.each(["telemetry", "x", ""])("%p is near nothing", (typed) => {
  expect(suggest(typed, keys)).toBeNull();
});
