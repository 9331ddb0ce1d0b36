import { describe, expect, test } from "bun:test";
import { createResponseReader } from "../../../src/cli/demo/response-reader.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const LENGTH = "HTTP/1.1 200 OK\r\nX-Demo-Backend: normal-3\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKED =
  "HTTP/1.1 502 Bad Gateway\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n";

describe("the load generator's response reader", () => {
  for (const [name, text, expected] of [
    ["with a Content-Length", LENGTH, { status: 200, backend: "normal-3", reusable: true }],
    ["chunked", CHUNKED, { status: 502, backend: null, reusable: false }],
  ] as const) {
    test(`an answer ${name} is complete with its last byte, however it is cut`, () => {
      for (let cut = 1; cut < text.length; cut++) {
        const reader = createResponseReader();
        expect(reader.push(bytes(text.slice(0, cut)))).toBeNull();
        expect(reader.push(bytes(text.slice(cut)))).toEqual(expected);
      }
    });
  }

  test("two answers in a row on one connection are both read", () => {
    const reader = createResponseReader();
    expect(reader.push(bytes(LENGTH))?.status).toBe(200);
    expect(reader.started).toBe(false);
    expect(reader.push(bytes(LENGTH))?.backend).toBe("normal-3");
  });

  for (const [name, text] of [
    ["no HTTP", "SSH-2.0-OpenSSH\r\n\r\n"],
    ["more than its Content-Length", `${LENGTH}!`],
    ["no end that can be known", "HTTP/1.1 200 OK\r\n\r\nhello"],
    ["no end at all", "x".repeat(70_000)],
  ] as const) {
    test(`an answer with ${name} is an error`, () => {
      expect(() => createResponseReader().push(bytes(text))).toThrow("the answer");
    });
  }
});
