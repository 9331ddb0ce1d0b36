import { afterEach, describe, expect, test } from "bun:test";
import { SpanKind } from "@opentelemetry/api";
import { originalHost, originalScheme } from "../../src/telemetry/original-request.ts";
import { exporter, observerWith, serve, spanOf } from "../_support/recorded-spans.ts";

afterEach(() => exporter.reset());

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

  test.each([
    [true, "https", "shop.example", 443],
    [false, "http", "10.0.0.9", 8080],
  ])("is in the span if the peer is trusted: %p", (trustedPeer, scheme, address, port) => {
    serve(observerWith(), {
      trustedPeer,
      host: "10.0.0.9:8080",
      headers: { "x-forwarded-host": "shop.example", "x-forwarded-proto": "https" },
    });
    expect(spanOf(SpanKind.SERVER).attributes).toMatchObject({
      "url.scheme": scheme,
      "server.address": address,
      "server.port": port,
    });
  });
});
