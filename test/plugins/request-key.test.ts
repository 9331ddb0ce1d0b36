import { describe, expect, test } from "bun:test";
import { OptionReader } from "../../plugins/option-reader.ts";
import { readRequestKey } from "../../plugins/request-key.ts";
import { requestWith } from "../_support/rehearsed-exchange.ts";

function keyOf(key: unknown, request: Parameters<typeof requestWith>[0]): string | null {
  const reader = new OptionReader({ key }, ["key"]);
  return reader.finish(readRequestKey(reader, "key"))(requestWith(request));
}

describe("the key of a request", () => {
  test("is the client's address unless something else is asked for", () => {
    expect(keyOf(undefined, { clientAddress: "192.0.2.7" })).toBe("192.0.2.7");
    expect(keyOf("client-address", { clientAddress: "2001:db8::7" })).toBe("2001:db8::7");
  });

  test("is the path, without the query", () => {
    expect(keyOf("path", { path: "/a/b", query: "c=d" })).toBe("/a/b");
  });

  test("is a header, whatever the case of its name", () => {
    expect(keyOf({ header: "X-User" }, { headers: { "x-user": " ann " } })).toBe("ann");
    expect(keyOf({ header: "X-User" }, { headers: { "x-user": "" } })).toBe(null);
    expect(keyOf({ header: "X-User" }, {})).toBe(null);
  });

  const cookies: readonly (readonly [header: string, key: string | null])[] = [
    ["sid=1", "1"],
    ["a=b; sid=1; c=d", "1"],
    ["a=b;sid=1", "1"],
    ['sid="1 2"', "1 2"],
    ["sid=a=b", "a=b"],
    ["sid=1; sid=2", "1"],
    ["xsid=1", null],
    ["SID=1", null],
    ["sid=", null],
    ["sid", null],
    ["sid; a=b", null],
    ["; ; =; sid=1", "1"],
    ["", null],
  ];
  for (const [header, key] of cookies) {
    test(`is a cookie: ${JSON.stringify(header)} holds ${key}`, () => {
      expect(keyOf({ cookie: "sid" }, { headers: { cookie: header } })).toBe(key);
    });
  }

  test("is no cookie when there are none", () => {
    expect(keyOf({ cookie: "sid" }, {})).toBe(null);
  });

  test("is a parameter of the query, however it is encoded", () => {
    expect(keyOf({ query: "user" }, { query: "a=b&user=J%c3%b6rg" })).toBe("Jörg");
    expect(keyOf({ query: "u[id]" }, { query: "u%5Bid%5D=7" })).toBe("7");
    expect(keyOf({ query: "user" }, { query: "users=1" })).toBe(null);
    expect(keyOf({ query: "user" }, { query: "user=" })).toBe(null);
    expect(keyOf({ query: "user" }, {})).toBe(null);
  });

  test("is something that there is: everything else is a mistake", () => {
    const allowed =
      'allowed "client-address", "path", { header: "X-User" }, { cookie: "session" } or { query: "user" }';
    for (const key of [
      "header",
      null,
      7,
      {},
      [],
      { header: "" },
      { header: "X User" },
      { cookie: "a;b" },
      { cookie: 1 },
      { query: "" },
      { body: "a" },
      { header: "a", cookie: "b" },
    ]) {
      expect(() => keyOf(key, {})).toThrow(`key: found ${JSON.stringify(key)}, ${allowed}`);
    }
  });
});
