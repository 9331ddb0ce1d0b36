/** A probe's request line and fields are written byte by byte: what a byte cannot hold is refused. */
import { describe, expect, test } from "bun:test";
import type { HealthConfig } from "../../src/config/config.ts";
import { resolveConfig } from "../../src/config/resolve.ts";
import { ConfigError } from "../../src/errors.ts";

const context = {
  baseDir: import.meta.dir,
  cpus: 1,
  platform: "linux",
  strategies: ["least-connections"],
};

function resolve(health: unknown): HealthConfig | null | undefined {
  const pools = { web: { backends: ["http://a:1"], health } };
  return resolveConfig({ pools }, context).pools[0]?.health;
}

/** The problems as `path: message`. */
function problemsOf(health: unknown): string[] {
  try {
    resolve(health);
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    return thrown.problems.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
}

describe("health.path", () => {
  test.each(["/", "/health", "/a/%C3%A9?b=c&d='%20'", '/~!$&()*+,;=:@[]|"<>\\^`{}'])(
    "may be %s",
    (path) => {
      expect(resolve({ path })?.path).toBe(path);
    },
  );

  test.each([
    ["é", '"/é"'],
    ["\u010d\u010aInjected:x", '"/\u010d\u010aInjected:x"'],
    ["🍌", '"/🍌"'],
    ["a b", '"/a b"'],
    ["a\r\nX: y", String.raw`"/a\r\nX: y"`],
    ["a\u0000", String.raw`"/a\u0000"`],
    ["a\u001b[0m", String.raw`"/a\u001b[0m"`],
    ["a\u007f", String.raw`"/a\u007f"`],
    ["a\u202e\u2028", String.raw`"/a\u202e\u2028"`],
    ["a#b", '"/a#b"'],
  ])("may not hold %j", (rest, shown) => {
    expect(problemsOf({ path: `/${rest}` })).toEqual([
      `pools.web.health.path: found ${shown}, allowed a path that starts with /, in printable ASCII without spaces and #, the rest percent-encoded`,
    ]);
  });

  test("starts with a slash", () => {
    expect(problemsOf({ path: "health" })).toHaveLength(1);
    expect(problemsOf({ path: "" })).toHaveLength(1);
  });
});

describe("health.host", () => {
  test.each([
    "shop.example",
    "Shop_1.example:8080",
    "127.0.0.1",
    "[::1]",
    "[2001:db8::7]:65535",
    "xn--bcher-kva.example",
  ])("may be %s", (host) => {
    expect(resolve({ path: "/", host })?.host).toBe(host);
  });

  test.each([
    ["bücher.example", '"bücher.example"'],
    ["a\u010d\u010aInjected:x", '"a\u010d\u010aInjected:x"'],
    ["a\u0000", String.raw`"a\u0000"`],
    ["a\u007f", String.raw`"a\u007f"`],
    ["a\r\nX: y", String.raw`"a\r\nX: y"`],
    ["a, b", '"a, b"'],
    ["", '""'],
    ["a:", '"a:"'],
    ["a:65536", '"a:65536"'],
    ["::1", '"::1"'],
    ["user@a", '"user@a"'],
    ["http://a", '"http://a"'],
  ])("may not be %j", (host, shown) => {
    expect(problemsOf({ path: "/", host })).toEqual([
      `pools.web.health.host: found ${shown}, allowed a host name in ASCII (xn--… for others) or an IP address, IPv6 in brackets, with a port if need be`,
    ]);
  });
});

test("a value of health.headers may be latin-1, and nothing that a byte cannot hold", () => {
  expect(resolve({ path: "/", headers: { "X-A": "caf\xe9" } })?.headers).toEqual({
    "X-A": "caf\xe9",
  });
  for (const value of ["\u0100", "a\r\nb", "a\u0000", "a\u007f"]) {
    const shown = JSON.stringify(value).replace("\u007f", "\\u007f");
    expect(problemsOf({ path: "/", headers: { "X-A": value } })).toEqual([
      `pools.web.health.headers.X-A: found ${shown}, allowed a header value without line breaks and other control characters, none above U+00FF`,
    ]);
  }
});
