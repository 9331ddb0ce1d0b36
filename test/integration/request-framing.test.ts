/**
 * Where a request ends: one answer to that, the same for us and for the backend, or the request is
 * refused and its connection closed.
 */
import { describe, expect, test } from "bun:test";
import { useRecordedFront, within } from "../_support/recorded-front.ts";

const front = useRecordedFront();

/** What an attacker hides where one of two servers sees the next request begin. */
const HIDDEN = "GET /hidden HTTP/1.1\r\nHost: shop.example\r\n\r\n";
const HIDDEN_CHUNK = `${HIDDEN.length.toString(16)}\r\n${HIDDEN}\r\n0\r\n\r\n`;

function post(fields: string, body: string, line = "POST /x HTTP/1.1"): string {
  return `${line}\r\nHost: shop.example\r\n${fields === "" ? "" : `${fields}\r\n`}\r\n${body}`;
}

function withLength(value: string): string {
  return post(`Content-Length: ${value}`, "hello");
}

function withCoding(value: string): string {
  return post(`Transfer-Encoding: ${value}`, `5\r\nhello\r\n0\r\n\r\n${HIDDEN}`);
}

describe("a request with both framings", () => {
  test.each([
    post("Content-Length: 6\r\nTransfer-Encoding: chunked", "0\r\n\r\nG"),
    post("Transfer-Encoding: chunked\r\nContent-Length: 6", "0\r\n\r\nG"),
    post("Content-Length: 4\r\nTransfer-Encoding: chunked", `${HIDDEN_CHUNK}`),
    post(
      "Transfer-Encoding: chunked\r\nContent-Length: 4",
      `5c\r\nGPOST / HTTP/1.1\r\nHost: a\r\n`,
    ),
  ])("is refused, and its connection closed (%j) [A01, A02]", async (bytes) => {
    await front.refused(bytes, 400);
  });
});

describe("a Transfer-Encoding", () => {
  test.each([
    "chunked, identity",
    "identity, chunked",
    "chunked, chunked",
    "chunked, gzip, chunked",
  ])("in which chunked is not last and alone is refused (%s) [A03]", async (value) => {
    await front.refused(withCoding(value), 400);
    await front.refused(withCoding(value.replaceAll(", ", "\r\nTransfer-Encoding: ")), 400);
  });

  test.each([
    "\x0bchunked",
    "chunked\x0b",
    "\x0cchunked",
    "\0chunked",
    "chunked\0",
    "xchunked",
    '"chunked"',
    "'chunked'",
    "chunked;q=1",
    "chun ked",
    "",
  ])("that only resembles chunked is refused (%j) [A04]", async (value) => {
    await front.refused(withCoding(value), 400);
  });

  test("with a space before its colon is refused [A04]", async () => {
    await front.refused(post("Transfer-Encoding : chunked", `0\r\n\r\n${HIDDEN}`), 400);
  });

  test("written with an underscore is a field like any other [A04]", async () => {
    const { requests } = await front.answered(
      post("Transfer_Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n"),
    );
    expect(requests.map(({ text }) => text)).toEqual(["0\r\n\r\n"]);
    expect(requests[0]?.header("transfer-encoding")).toBeNull();
    expect(requests[0]?.header("content-length")).toBe("5");
  });

  test.each(["gzip", "deflate", "identity", "gzip, chunked", "deflate, gzip, chunked"])(
    "with a coding that we do not take off is refused, never passed on without it (%s) [A05, A06]",
    async (value) => {
      await front.refused(withCoding(value), 400);
    },
  );

  test.each(["", "Connection: keep-alive\r\n"])(
    "in HTTP/1.0 is refused, and nothing after it is a request (%j) [A07]",
    async (connection) => {
      const fields = `${connection}Transfer-Encoding: chunked`;
      const bytes = post(fields, `5\r\nhello\r\n0\r\n\r\n${HIDDEN}`, "POST /x HTTP/1.0");
      await front.refused(bytes, 400);
    },
  );

  test.each(["CHUNKED", "Chunked", "chunked ", "\tchunked", "chunked,", ",chunked"])(
    "that is chunked in another spelling frames the body, and goes on in ours (%j)",
    async (value) => {
      const bytes = post(`Transfer-Encoding: ${value}`, "5\r\nhello\r\n0\r\n\r\n");
      const { requests } = await front.answered(bytes);
      expect(requests.map(({ text }) => text)).toEqual(["hello"]);
      expect(requests[0]?.header("transfer-encoding")).toBe("chunked");
    },
  );
});

describe("a Content-Length", () => {
  test.each([
    "5\r\nContent-Length: 6",
    "6\r\nContent-Length: 5",
    "5, 6",
    "6,5",
    "5\r\nX-Between: 1\r\ncontent-length: 50",
  ])("that contradicts another is refused (%j) [A08]", async (value) => {
    await front.refused(withLength(value), 400);
  });

  // Bun lets equal lines pass: they once reached the backend as `content-length: NaN`.
  test.each([
    "5\r\nContent-Length: 5",
    "5\r\nX-Between: 1\r\ncontent-length: 5\r\nCONTENT-LENGTH: 5",
    "0\r\nContent-Length: 0",
    "5, 5",
    "5,5",
  ])("that is repeated is refused (%j) [A09]", async (value) => {
    const { requests } = await front.refused(withLength(value), 400);
    expect(requests).toEqual([]);
  });

  test.each([
    ["+5"],
    ["-5"],
    ["-0"],
    ["5 5"],
    ["5\t5"],
    ["0x5"],
    ["5_0"],
    ["5.0"],
    ["5e0"],
    ["five"],
    [""],
    ["\t"],
    ["5;"],
    ["5,"],
    [String(2n ** 63n)],
    [String(2n ** 64n + 5n)],
    ["9".repeat(40)],
  ])("that is no number, or too large a one, is refused (%j) [A10]", async (value) => {
    await front.refused(withLength(value), 400);
  });

  test.each([String(2n ** 32n + 5n), String(2n ** 53n - 1n), String(2n ** 53n)])(
    "above body.max is refused, not taken modulo anything (%s) [A10]",
    async (value) => {
      const { requests } = await front.refused(withLength(value), 413);
      expect(requests).toEqual([]);
    },
  );

  test.each(["\r\nContent-Length: 5", " \r\nContent-Length: 5", "5\r\nContent-Length:"])(
    "that is empty does not hide another (%j) [A11]",
    async (value) => {
      await front.refused(withLength(value), 400);
    },
  );

  test("that is empty does not hide a Transfer-Encoding, nor the other way round [A11]", async () => {
    const chunks = "5\r\nhello\r\n0\r\n\r\n";
    await front.refused(post("Content-Length:\r\nTransfer-Encoding: chunked", chunks), 400);
    await front.refused(post("Transfer-Encoding:\r\nContent-Length: 5", chunks), 400);
  });

  test.each(["00005", "\t5", "5\t", "  5  "])(
    "with leading zeros or space around it goes on as the bare number (%j) [A12]",
    async (value) => {
      const { requests } = await front.answered(withLength(value));
      expect(requests.map(({ text }) => text)).toEqual(["hello"]);
      expect(requests[0]?.header("content-length")).toBe("5");
    },
  );
});

describe("a request that looks like two", () => {
  test.each(["GET", "OPTIONS", "DELETE", "POST", "PUT", "PATCH"])(
    "as a %s with a body is one, and its body arrives as a body [A27, A28]",
    async (method) => {
      const line = `${method} /x HTTP/1.1`;
      const known = await front.answered(post(`Content-Length: ${HIDDEN.length}`, HIDDEN, line));
      expect(known.requests.map(({ target, text }) => [target, text])).toEqual([["/x", HIDDEN]]);
      expect(known.requests[0]?.header("content-length")).toBe(String(HIDDEN.length));
      const chunked = await front.answered(post("Transfer-Encoding: chunked", HIDDEN_CHUNK, line));
      expect(chunked.requests.map(({ target, text }) => [target, text])).toEqual([["/x", HIDDEN]]);
      expect(chunked.requests[0]?.header("content-length")).toBeNull();
      expect(chunked.requests[0]?.header("transfer-encoding")).toBe("chunked");
    },
  );
});

describe("a Connection field that names the framing", () => {
  test.each(["Transfer-Encoding", "Content-Length", "close, content-length, TRANSFER-ENCODING"])(
    "does not take it away (%s) [A29]",
    async (names) => {
      for (const framed of [
        post(`Connection: ${names}\r\nContent-Length: 5`, "hello"),
        post(`Connection: ${names}\r\nTransfer-Encoding: chunked`, "5\r\nhello\r\n0\r\n\r\n"),
      ]) {
        const { requests, statuses } = await front.answered(framed);
        expect(statuses).toEqual([200]);
        expect(requests.map(({ text }) => text)).toEqual(["hello"]);
      }
    },
  );
});

describe("an HTTP/1.0 request", () => {
  test.each([
    post("", HIDDEN, "POST /x HTTP/1.0"),
    post("Connection: keep-alive", HIDDEN, "POST /x HTTP/1.0"),
    post("Connection: keep-alive", HIDDEN, "GET /x HTTP/1.0"),
    post("Content-Length: 5", `hello${HIDDEN}`, "POST /x HTTP/1.0"),
    post("Connection: keep-alive\r\nContent-Length: 5", `hello${HIDDEN}`, "POST /x HTTP/1.0"),
  ])("is the only one: with more behind it, it is refused (%j) [A30]", async (bytes) => {
    const { requests, statuses } = await front.ended(bytes);
    expect(statuses).toEqual([400]);
    for (const { target } of requests) expect(target).toBe("/x");
    expect(requests.length).toBeLessThanOrEqual(1);
  });

  test("without a length has no body [A30]", async () => {
    const { requests, statuses } = await front.ended(post("", "", "POST /x HTTP/1.0"));
    expect(statuses).toEqual([200]);
    expect(requests.map(({ target, text }) => [target, text])).toEqual([["/x", ""]]);
  });

  test("whose body ends with the connection leaves nothing behind [A30]", async () => {
    const { requests } = await front.play(async () => {
      const client = await front.connect();
      client.send(post("", "hello", "POST /x HTTP/1.0"));
      client.halfClose();
      await within(client.closed, () => "still open");
      return client.received();
    });
    for (const { text, target } of requests) expect([target, text]).toEqual(["/x", ""]);
    expect(requests.length).toBeLessThanOrEqual(1);
  });
});
