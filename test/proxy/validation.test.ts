import { describe, expect, test } from "bun:test";
import { ProxyError } from "../../src/errors.ts";
import { validateRequest } from "../../src/proxy/validation.ts";
import { HandFedReader } from "../_support/byte-reader.ts";
import { frontRequest } from "../_support/front-request.ts";

function refusal(given: Parameters<typeof frontRequest>[0]): string | null {
  try {
    validateRequest(frontRequest(given));
    return null;
  } catch (error) {
    if (error instanceof ProxyError) return error.code;
    throw error;
  }
}

describe("a request is refused", () => {
  test.each([
    "a, b",
    "user@host",
    "host/path",
    "h h",
    "",
    "[::1",
    "a:b",
    "a:123456",
    "a:65536",
    "a\\b",
    "a%2fb",
    "%zz",
  ])("when Host is %j", (host) => {
    expect(refusal({ headers: { host } })).toBe("bad_request");
  });

  test("when it is CONNECT, TRACE or an upgrade", () => {
    expect(refusal({ method: "CONNECT", target: "a:80" })).toBe("method_not_supported");
    expect(refusal({ method: "TRACE" })).toBe("method_not_allowed");
    const headers = { host: "a", connection: "keep-alive, Upgrade", upgrade: "websocket" };
    expect(refusal({ headers })).toBe("upgrade_not_supported");
  });

  test("when it announces a body that the runtime has dropped", () => {
    expect(refusal({ headers: { host: "a", "content-length": "3" } })).toBe("bad_request");
    expect(refusal({ headers: { host: "a", "transfer-encoding": "chunked" } })).toBe("bad_request");
  });

  test.each(["5, 5", "5, 6", "", "5x", "+5"])("when its Content-Length is %j", (length) => {
    const headers = { host: "a", "content-length": length };
    expect(refusal({ method: "POST", headers, body: new HandFedReader() })).toBe("bad_request");
  });

  test.each(["/a\u010a", "/a\xe9", "/a b", "/a\n"])(
    "when its target %j could break its line",
    (target) => {
      expect(refusal({ target })).toBe("bad_request");
    },
  );

  test("when its target is no path", () => {
    expect(refusal({ method: "OPTIONS", target: "*" })).toBe("bad_request");
  });
});

describe("a request passes", () => {
  test.each(["shop.example", "shop.example:8080", "[::1]:80", "127.0.0.1", "a_b.example", "x:"])(
    "with Host %j",
    (host) => {
      expect(refusal({ headers: { host } })).toBeNull();
    },
  );

  test("without Host, as HTTP/1.0 may", () => {
    expect(refusal({ headers: {}, version: "1.0" })).toBeNull();
    expect(refusal({ headers: {} })).toBe("bad_request");
  });

  test("with an empty body", () => {
    for (const length of ["0", "00"]) {
      const headers = { host: "a", "content-length": length };
      expect(refusal({ method: "POST", headers })).toBeNull();
    }
  });

  test("with Upgrade that Connection does not name: it asks for nothing", () => {
    expect(refusal({ headers: { host: "a", upgrade: "h2c" } })).toBeNull();
  });
});
