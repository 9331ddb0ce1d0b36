import { expect, test } from "bun:test";
import { parseTarget } from "../../src/proxy/request-target.ts";

test.each([
  ["/", "/"],
  ["/a/b?c#d", "/a/b?c"],
  ["/a/./b/../c", "/a/c"],
  ["/../../a", "/a"],
  ["/a/%2E%2e/b", "/b"],
  ["/a/..", "/"],
  ["/a/b/.", "/a/b/"],
  ["/a\\..\\b?x\\y", "/b?x\\y"],
  ["//a//b/..", "//a//"],
  ["/a?/../b", "/a?/../b"],
  ["/%2f..%2fa", "/%2f..%2fa"],
  ["/.a/..b/...", "/.a/..b/..."],
])("the path %s is %s to everybody", (sent, target) => {
  expect(parseTarget(sent)).toEqual({ target, authority: null });
  // Once is enough: nobody behind us sees another path in it.
  expect(parseTarget(target).target).toBe(target);
});

test.each([
  ["http://a.example/b?c", "a.example", "/b?c"],
  ["HTTPS://a.example:8443", "a.example:8443", "/"],
  ["http://a.example?q", "a.example", "/?q"],
  ["http://user@a.example/../b", "user@a.example", "/b"],
  ["http://a.example\\@b.example/", "a.example", "/@b.example/"],
])("the absolute form %s has the authority %s and the path %s", (sent, authority, target) => {
  expect(parseTarget(sent)).toEqual({ target, authority });
});

test.each(["*", "a.example:80", "ftp://a.example/", "http:/a", "?q", ""])(
  "what is none of both (%j) stays as it is",
  (sent) => {
    expect(parseTarget(sent)).toEqual({ target: sent, authority: null });
  },
);
