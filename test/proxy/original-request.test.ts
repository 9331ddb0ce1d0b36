import { describe, expect, test } from "bun:test";
import { originalHost, originalScheme } from "../../src/proxy/original-request.ts";

describe("what the client asked the outermost proxy for", () => {
  test.each<[string, Record<string, string>, string | null, string | null]>([
    ["nobody says", {}, null, null],
    [
      "empty fields",
      { forwarded: "", "x-forwarded-host": "", "x-forwarded-proto": " " },
      null,
      null,
    ],
    [
      "X-Forwarded-*",
      { "x-forwarded-host": "shop.example:8443", "x-forwarded-proto": "https" },
      "shop.example:8443",
      "https",
    ],
    [
      "several hops",
      { "x-forwarded-host": "shop.example, inner", "x-forwarded-proto": "https, http" },
      "shop.example",
      "https",
    ],
    [
      "Forwarded, before the others",
      {
        forwarded:
          'for="[2001:db8::1]";Host="shop.example:81";PROTO=HTTPS, for=10.0.0.1;host=inner',
        "x-forwarded-host": "other.example",
      },
      "shop.example:81",
      "https",
    ],
    ["a scheme that is none", { "x-forwarded-proto": "gopher" }, null, null],
  ])("%s", (_, fields, host, scheme) => {
    const headers = new Headers(fields);
    expect(originalHost(headers)).toBe(host);
    expect(originalScheme(headers)).toBe(scheme as "http" | "https" | null);
  });
});
