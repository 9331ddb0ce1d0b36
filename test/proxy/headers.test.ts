import { describe, expect, test } from "bun:test";
import { requestHead, type RequestHeadOptions, responseHeaders } from "../../src/proxy/headers.ts";
import { frontRequest } from "../_support/front-request.ts";

const options: RequestHeadOptions = {
  host: "shop.example",
  clientHost: "shop.example",
  clientAddress: "192.0.2.7",
  framing: null,
  set: [],
  remove: [],
};

function headFor(headers: Record<string, string>, changed: Partial<RequestHeadOptions> = {}) {
  const request = frontRequest({ headers: { host: "shop.example", ...headers } });
  const [line = "", ...fields] = requestHead(request, { ...options, ...changed }).split("\r\n");
  return { line, fields: fields.filter((field) => field !== "") };
}

describe("the request head for a backend", () => {
  test("begins with the method and target as sent, and ends with an empty line", () => {
    const head = requestHead(frontRequest({ method: "PURGE", target: "/a?b=%zz" }), options);
    expect(head).toStartWith("PURGE /a?b=%zz HTTP/1.1\r\nhost: shop.example\r\n");
    expect(head).toEndWith("\r\n\r\n");
    expect(head.slice(0, -4)).not.toContain("\r\n\r\n");
  });

  test("invents nothing but forwarding fields and Via", () => {
    expect(headFor({}).fields).toEqual([
      "host: shop.example",
      "x-forwarded-for: 192.0.2.7",
      "x-forwarded-proto: http",
      "x-forwarded-host: shop.example",
      "via: 1.1 leastwise",
    ]);
  });

  test("leaves out what concerns the client's connection, and what Connection names", () => {
    const { fields } = headFor({
      connection: "close, X-Secret ,, Via",
      "x-secret": "1",
      "keep-alive": "timeout=5",
      "proxy-connection": "keep-alive",
      "proxy-authorization": "Basic eDp5",
      te: "gzip",
      trailer: "X-T",
      upgrade: "h2c",
      expect: "100-continue",
      "x-kept": "yes",
    });
    expect(fields).toContain("x-kept: yes");
    const names = fields.map((field) => field.split(":")[0]);
    for (const name of [
      "connection",
      "x-secret",
      "keep-alive",
      "proxy-connection",
      "proxy-authorization",
      "te",
      "trailer",
      "upgrade",
      "expect",
    ]) {
      expect(names).not.toContain(name);
    }
  });

  test("keeps its own forwarding fields when Connection names them", () => {
    const { fields } = headFor({ connection: "x-forwarded-for, host, via" });
    expect(fields).toContain("x-forwarded-for: 192.0.2.7");
    expect(fields).toContain("host: shop.example");
    expect(fields).toContain("via: 1.1 leastwise");
  });

  test("replaces forwarding fields that a client made up", () => {
    const { fields } = headFor({
      "x-forwarded-for": "1.2.3.4",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "evil.example",
      "x-forwarded-port": "1",
      "x-real-ip": "1.2.3.4",
      forwarded: "for=1.2.3.4",
    });
    const text = fields.join("\n");
    expect(text).not.toContain("1.2.3.4");
    expect(text).not.toContain("evil");
    expect(text).not.toContain("https");
    expect(fields.filter((field) => field.startsWith("x-forwarded-for"))).toHaveLength(1);
  });

  test("drops what a client says of itself in any X-Forwarded field", () => {
    const { fields } = headFor({ "x-forwarded-user": "root", "x-forwarded-prefix": "/a" });
    expect(fields.join("\n")).not.toMatch(/root|prefix/);
  });

  test("is refused with a control character in a value", () => {
    const forEach = (each: (value: string, name: string) => void): void => each("a\x7fb", "x-odd");
    const headers = { get: () => null, has: () => false, forEach };
    const request = { ...frontRequest(), headers };
    expect(() => requestHead(request, options)).toThrow("control character");
  });

  test("adds itself to the end of Via", () => {
    expect(headFor({ via: "1.0 outer" }).fields).toContain("via: 1.0 outer, 1.1 leastwise");
  });

  test("frames the body in exactly one way", () => {
    const sent = { "content-length": "5", "transfer-encoding": "chunked" };
    expect(headFor(sent, { framing: 5 }).fields.filter(isFraming)).toEqual(["content-length: 5"]);
    expect(headFor(sent, { framing: "chunked" }).fields.filter(isFraming)).toEqual([
      "transfer-encoding: chunked",
    ]);
    expect(headFor(sent, { framing: 0 }).fields.filter(isFraming)).toEqual(["content-length: 0"]);
    expect(headFor(sent).fields.filter(isFraming)).toEqual([]);
  });

  test("lets an observer's fields take the place of the client's, and removes what it names", () => {
    const { fields } = headFor(
      { traceparent: "00-old", baggage: "a=b" },
      { set: [["traceparent", "00-new"]], remove: ["baggage"] },
    );
    expect(fields.filter((field) => /traceparent|baggage/.test(field))).toEqual([
      "traceparent: 00-new",
    ]);
  });
});

describe("the response fields for a client", () => {
  test("keep order, case and repeats", () => {
    const fields = [
      ["Set-Cookie", "a=1"],
      ["X-Many", "1"],
      ["set-cookie", "b=2"],
      ["X-Many", "2"],
    ] as const;
    expect(responseHeaders(fields, false)).toEqual([...fields]);
  });

  test("leave out what concerns the backend's connection", () => {
    const fields = [
      ["Connection", "X-Hop, close"],
      ["X-Hop", "1"],
      ["Keep-Alive", "timeout=5"],
      ["Proxy-Authenticate", "Basic"],
      ["Transfer-Encoding", "chunked"],
      ["Upgrade", "h2c"],
      ["Trailer", "X-T"],
      ["X-Kept", "yes"],
    ] as const;
    expect(responseHeaders(fields, false)).toEqual([["X-Kept", "yes"]]);
  });

  test("keep Content-Length only where no body follows", () => {
    const fields = [["Content-Length", "5"]] as const;
    expect(responseHeaders(fields, true)).toEqual([["Content-Length", "5"]]);
    expect(responseHeaders(fields, false)).toEqual([]);
  });
});

function isFraming(field: string): boolean {
  return /^(content-length|transfer-encoding):/.test(field);
}
