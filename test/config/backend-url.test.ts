import { describe, expect, test } from "bun:test";
import { parseBackendUrl } from "../../src/config/backend-url.ts";

test.each([
  ["http://10.0.0.1:3000", "http://10.0.0.1:3000", "10.0.0.1:3000"],
  ["http://example.com", "http://example.com:80", "example.com:80"],
  ["http://example.com/", "http://example.com:80", "example.com:80"],
  ["HTTP://Example.COM:8080", "http://example.com:8080", "example.com:8080"],
  ["http://[::1]:3000", "http://[::1]:3000", "[::1]:3000"],
  ["unix:/run/app.sock", "unix:/run/app.sock", "/run/app.sock"],
  ["unix:///run/app.sock", "unix:/run/app.sock", "/run/app.sock"],
])("%s is %s with the id %s", (text, url, defaultId) => {
  expect(parseBackendUrl(text)).toMatchObject({ value: { url, defaultId } });
});

test("the address of an IPv6 backend has no brackets", () => {
  expect(parseBackendUrl("http://[::1]:3000")).toMatchObject({
    value: { address: { hostname: "::1", port: 3000 } },
  });
});

describe("refused, with the reason", () => {
  test.each([
    ["localhost:3000", "no scheme; perhaps http://localhost:3000"],
    ["10.0.0.1", "no scheme; perhaps http://10.0.0.1"],
    ["", "no scheme"],
    ["https://example.com", "https to backends is not supported yet"],
    ["ftp://example.com", "the scheme ftp is unknown"],
    ["http://user:secret@example.com", "a backend URL has no credentials"],
    ["http://user@example.com", "a backend URL has no credentials"],
    ["http://example.com/api", "a backend URL has no path"],
    ["http://example.com?a=1", "a backend URL has no query"],
    ["http://example.com?", "a backend URL has no query"],
    ["http://example.com#top", "a backend URL has no fragment"],
    ["http://example.com:0", "a port is 1 to 65535"],
    ["http://example.com:65536", "a port is 1 to 65535"],
    ["http://", "not a URL"],
    ["http://exa mple.com", "not a URL"],
  ])("%p", (text, reason) => {
    expect(parseBackendUrl(text)).toMatchObject({ reason });
  });

  test.each(["unix:app.sock", "unix:", `unix:/${"x".repeat(200)}`])("%p", (text) => {
    expect(parseBackendUrl(text)).not.toHaveProperty("value");
  });
});
