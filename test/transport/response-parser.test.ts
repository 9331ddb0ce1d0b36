/** What the parser of backends' responses takes, and what it refuses; through the proxy: hostile-backends, hostile-heads. */
import { describe, expect, test } from "bun:test";
import { MAX_FIELDS } from "../../src/transport/response-head.ts";
import { MAX_HEAD_BYTES, MAX_INTERIM } from "../../src/transport/response-parser.ts";
import { parseResponse } from "../_support/parsed-response.ts";

const OK = "HTTP/1.1 200 OK\r\n";

function refusal(bytes: string, method = "GET"): string | null {
  return parseResponse([bytes], { method }).refused;
}

describe("a response with Content-Length", () => {
  test("is complete with its last byte, and its connection can be kept", () => {
    const parsed = parseResponse([`${OK}Content-Length: 5\r\nX-A: b\r\n\r\nhello`], {
      thenEnd: false,
    });
    expect(parsed).toMatchObject({ body: "hello", complete: true, overrun: false, refused: null });
    expect(parsed.head).toEqual({
      status: 200,
      reason: "OK",
      headers: [
        ["Content-Length", "5"],
        ["X-A", "b"],
      ],
      framing: "length",
      bodyLength: 5,
      persistent: true,
      keepAliveMs: null,
    });
  });

  test("is not complete one byte before, not even when the stream ends", () => {
    expect(parseResponse([`${OK}Content-Length: 5\r\n\r\nhell`])).toMatchObject({
      complete: false,
      refused: null,
    });
  });

  test("of 0 has no body and is complete with its head", () => {
    const parsed = parseResponse([`${OK}Content-Length: 0\r\n\r\n`], { thenEnd: false });
    expect(parsed).toMatchObject({
      complete: true,
      body: "",
      head: { framing: "none", bodyLength: 0, persistent: true },
    });
  });

  test("said twice alike is said once [R03]", () => {
    for (const fields of [
      "Content-Length: 3\r\ncontent-length: 3\r\n",
      "Content-Length: 3, 3\r\n",
    ]) {
      const parsed = parseResponse([`${OK}${fields}\r\nabc`], { thenEnd: false });
      expect(parsed).toMatchObject({ body: "abc", complete: true, refused: null });
      expect(parsed.head?.headers).toEqual([["Content-Length", "3"]]);
    }
  });

  test.each([
    "foo",
    "",
    "-1",
    "+5",
    "0x5",
    "5 5",
    "5;",
    "5,",
    "1.0",
    "9007199254740993",
    "9".repeat(21),
  ])("of %j is refused [R02]", (value) => {
    expect(refusal(`${OK}Content-Length: ${value}\r\n\r\nhello`)).toContain("Content-Length");
  });

  test.each([
    "Content-Length: 5\r\nContent-Length: 6\r\n",
    "Content-Length: 5, 6\r\n",
    "Content-Length: 5\r\nContent-Length: 05\r\n",
  ])("that contradicts itself is refused: %j [R02]", (fields) => {
    expect(refusal(`${OK}${fields}\r\nhello!`)).toContain("two different");
  });

  test("and Transfer-Encoding is refused in either order [R01]", () => {
    const both = ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"];
    for (const fields of [both, both.toReversed()]) {
      expect(refusal(`${OK}${fields.join("")}\r\n0\r\n\r\n`)).toContain("both");
    }
  });
});

describe("a chunked response", () => {
  const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;

  test("is put together; extensions and trailers are dropped", () => {
    const parsed = parseResponse(
      [
        `${CHUNKED}5;a=b\r\nhello\r\n00A;x\r\n, chunks!!\r\n0\r\nX-T: 1\r\nContent-Length: 7\r\n\r\n`,
      ],
      {
        thenEnd: false,
      },
    );
    expect(parsed).toMatchObject({
      body: "hello, chunks!!",
      complete: true,
      overrun: false,
      refused: null,
    });
    expect(parsed.head).toMatchObject({ framing: "chunked", bodyLength: null, persistent: true });
    expect(parsed.head?.headers).toEqual([["Transfer-Encoding", "chunked"]]);
  });

  test("may name its coding in any case", () => {
    expect(parseResponse([`${OK}transfer-encoding: Chunked\r\n\r\n0\r\n\r\n`]).complete).toBe(true);
  });

  test.each([
    "foo",
    "gzip, chunked",
    "chunked, chunked",
    "chunked;q=1",
    "",
    "\x0bchunked",
    "identity",
  ])("in the coding %j is refused [R02]", (coding) => {
    expect(refusal(`${OK}Transfer-Encoding: ${coding}\r\n\r\n0\r\n\r\n`)).not.toBeNull();
  });

  test("that names its coding twice is refused [R02]", () => {
    const twice = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
    expect(refusal(`${OK}${twice}\r\n0\r\n\r\n`)).toContain("more than one");
  });

  test("in HTTP/1.0 is refused", () => {
    expect(refusal("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")).toContain(
      "HTTP/1.0",
    );
  });

  test.each([
    ["0x5\r\nhello\r\n0\r\n\r\n", "a prefix"],
    ["+5\r\nhello\r\n0\r\n\r\n", "a sign"],
    [" 5\r\nhello\r\n0\r\n\r\n", "a space before"],
    ["5 \r\nhello\r\n0\r\n\r\n", "a space after"],
    ["\r\nhello\r\n0\r\n\r\n", "no size"],
    [";a\r\nhello\r\n0\r\n\r\n", "an extension without a size"],
    ["G\r\nhello\r\n0\r\n\r\n", "no digit"],
    ["5_0\r\nhello\r\n0\r\n\r\n", "an underscore"],
    ["5\nhello\r\n0\r\n\r\n", "a bare LF after the size"],
    ["5\rhello\r\n0\r\n\r\n", "a bare CR after the size"],
    ["5;a\nb\r\nhello\r\n0\r\n\r\n", "a bare LF in an extension"],
    ["5;a\0\r\nhello\r\n0\r\n\r\n", "NUL in an extension"],
    ["5\r\nhelloXX0\r\n\r\n", "no CRLF after the data"],
    ["5\r\nhello\n0\r\n\r\n", "a bare LF after the data"],
    ["5\r\nhello\rX", "a bare CR after the data"],
    ["0\r\nX-T: a\nb\r\n\r\n", "a bare LF in a trailer"],
    ["0\r\nX-T: a\rb\r\n\r\n", "a bare CR in a trailer"],
    ["0\r\n\rX", "CR without LF at the end"],
    ["20000000000000\r\nhello", "2^53"],
    ["10000000000000005\r\nhello", "2^64 + 5"],
    [`${"f".repeat(400)}\r\nhello`, "400 digits"],
    [`${"0".repeat(17)}5\r\nhello`, "endless zeros"],
  ])("with the chunks %j (%s) is refused", (chunks) => {
    const parsed = parseResponse([CHUNKED + chunks]);
    expect(parsed.refused).not.toBeNull();
    expect(parsed.complete).toBe(false);
  });

  test("may not have extensions without end, in one chunk or spread over many", () => {
    expect(refusal(`${CHUNKED}1;${"a".repeat(20_000)}\r\nx\r\n0\r\n\r\n`)).toContain("extensions");
    expect(refusal(`${CHUNKED}${`1;${"a".repeat(1000)}\r\nx\r\n`.repeat(20)}0\r\n\r\n`)).toContain(
      "extensions",
    );
  });

  test("may not have trailers without end", () => {
    expect(refusal(`${CHUNKED}0\r\n${"X-T: a\r\n".repeat(3000)}\r\n`)).toContain("trailers");
  });

  test("of a hundred thousand one-byte chunks is whole [E23]", () => {
    const parsed = parseResponse([`${CHUNKED}${"1\r\nx\r\n".repeat(100_000)}0\r\n\r\n`], {
      thenEnd: false,
    });
    expect(parsed).toMatchObject({ complete: true, refused: null });
    expect(parsed.body).toBe("x".repeat(100_000));
  });

  test.each([
    "",
    "5",
    "5\r\n",
    "5\r\nhel",
    "5\r\nhello",
    "5\r\nhello\r\n",
    "5\r\nhello\r\n0",
    "5\r\nhello\r\n0\r\n",
    "5\r\nhello\r\n0\r\n\r",
  ])("that ends after %j is not complete [E09]", (sent) => {
    expect(parseResponse([CHUNKED + sent])).toMatchObject({ complete: false, refused: null });
  });
});

describe("a response without a length", () => {
  test("ends with its stream, and the connection with it", () => {
    expect(parseResponse([`${OK}\r\nall of `, "it"], { thenEnd: false })).toMatchObject({
      complete: false,
    });
    const parsed = parseResponse([`${OK}\r\nall of `, "it"]);
    expect(parsed).toMatchObject({
      body: "all of it",
      complete: true,
      head: { framing: "close", persistent: false },
    });
  });

  test.each([
    ["GET", 204],
    ["GET", 304],
    ["HEAD", 200],
    ["HEAD", 404],
  ])("to %s with status %d has no body and is complete with its head", (method, status) => {
    const parsed = parseResponse([`HTTP/1.1 ${status} X\r\n\r\n`], { method, thenEnd: false });
    expect(parsed).toMatchObject({
      complete: true,
      head: { framing: "none", persistent: true, bodyLength: null },
    });
  });

  test("to HEAD keeps the length that it declares [E12]", () => {
    const parsed = parseResponse([`${OK}Content-Length: 1000\r\n\r\n`], {
      method: "HEAD",
      thenEnd: false,
    });
    expect(parsed).toMatchObject({
      complete: true,
      body: "",
      head: { framing: "none", bodyLength: 1000, persistent: true },
    });
    const chunked = parseResponse([`${OK}Transfer-Encoding: chunked\r\n\r\n`], {
      method: "HEAD",
      thenEnd: false,
    });
    expect(chunked).toMatchObject({
      complete: true,
      head: { framing: "none", bodyLength: null, persistent: true },
    });
  });
});

describe("bytes after the message [R04]", () => {
  test.each([
    ["after Content-Length", "GET", `${OK}Content-Length: 2\r\n\r\nok`, "ok"],
    [
      "after the last chunk",
      "GET",
      `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
      "ok",
    ],
    ["after a 204", "GET", "HTTP/1.1 204 X\r\n\r\n", ""],
    ["after a 304", "GET", "HTTP/1.1 304 X\r\nContent-Length: 4\r\n\r\n", ""],
    ["after the answer to HEAD", "HEAD", `${OK}Content-Length: 4\r\n\r\n`, ""],
  ])("%s are not part of it and spoil the connection", (_what, method, message, body) => {
    for (const pieces of [[`${message}EVIL`], [message, "EVIL"]]) {
      expect(parseResponse(pieces, { method, thenEnd: false })).toMatchObject({
        complete: true,
        overrun: true,
        body,
      });
    }
    expect(parseResponse([message], { method, thenEnd: false })).toMatchObject({
      complete: true,
      overrun: false,
      body,
    });
  });
});

describe("a head", () => {
  test.each([
    ["a line without a colon", "nonsense\r\n"],
    ["an empty name", ": x\r\n"],
    ["an empty name and a blank", " : x\r\n"],
    ["a blank in a name", "X A: b\r\n"],
    ["a blank in place of a colon", "X-A \r\n"],
    ["a control character before the colon", "X-A\x0b: b\r\n"],
    ["a folded line", "X-A: b\r\n c: d\r\n"],
    ["a folded line after the status line", " X-A: b\r\n"],
    ["NUL in a value", "X-A: a\0b\r\n"],
    ["a control character in a value", "X-A: a\x01b\r\n"],
    ["DEL in a value", "X-A: a\x7fb\r\n"],
    ["a bare LF", "X-A: a\nX-B: b\r\n"],
    ["a bare CR", "X-A: a\rX-B: b\r\n"],
    ["a name that is no token", "X[A]: b\r\n"],
    ["a name with a latin-1 letter", "X-\xe9: b\r\n"],
  ])("with %s is refused [R06, R11]", (_what, field) => {
    expect(refusal(`${OK}${field}Content-Length: 0\r\n\r\n`)).not.toBeNull();
  });

  test("with blanks before a colon is read as if they were not there [R07]", () => {
    const parsed = parseResponse(
      [`${OK}X-A \t : b\r\nConnection\t: close\r\nContent-Length : 2\r\n\r\nok`],
      {
        thenEnd: false,
      },
    );
    expect(parsed).toMatchObject({
      complete: true,
      body: "ok",
      head: {
        headers: [
          ["X-A", "b"],
          ["Connection", "close"],
          ["Content-Length", "2"],
        ],
        bodyLength: 2,
        persistent: false,
      },
    });
    expect(refusal(`${OK}Content-Length : 2\r\nContent-Length: 3\r\n\r\nok!`)).toContain(
      "different",
    );
    expect(refusal(`${OK}Content-Length: 2\r\nTransfer-Encoding : chunked\r\n\r\nok`)).toContain(
      "both",
    );
  });

  test.each([
    "HTTP/1.1 abc",
    "HTTP/1.1 099 X",
    "HTTP/1.1 99 X",
    "HTTP/1.1 600 X",
    "HTTP/1.1 1000 X",
    "HTTP/1.1 200OK",
    "HTTP/1.1  200 OK",
    "HTTP/1.1\t200 OK",
    "HTTP/1.2 200 OK",
    "HTTP/2 200 OK",
    "http/1.1 200 OK",
    "HTTP/1.1 200 a\x01",
    " HTTP/1.1 200 OK",
    "\r\nHTTP/1.1 200 OK",
    "SSH-2.0-OpenSSH_9.2",
    "",
  ])("with the status line %j is refused [R08]", (line) => {
    expect(refusal(`${line}\r\nContent-Length: 0\r\n\r\n`)).toContain("status line");
  });

  test.each([
    "HTTP/1.1 200",
    "HTTP/1.1 200 ",
    "HTTP/1.1 200 Tr\xe8s bien\t!",
    "HTTP/1.0 200 OK",
    "HTTP/1.1 599 X",
  ])("with the status line %j is read", (line) => {
    expect(refusal(`${line}\r\nContent-Length: 0\r\n\r\n`)).toBeNull();
  });

  test("keeps order, case, repeats, empty values and latin-1 as they were sent [C09, C10]", () => {
    const fields =
      "X-M: a\r\nset-cookie: b=1\r\nx-m:\t c \t\r\nEmpty:\r\nNbsp:\xa0caf\xe9\xa0\r\nset-cookie: d=2\r\n";
    expect(parseResponse([`${OK}${fields}\r\n`]).head?.headers).toEqual([
      ["X-M", "a"],
      ["set-cookie", "b=1"],
      ["x-m", "c"],
      ["Empty", ""],
      ["Nbsp", "\xa0caf\xe9\xa0"],
      ["set-cookie", "d=2"],
    ]);
  });

  test.each([
    "SSH-2.0-OpenSSH_9.2\r\n",
    "\x16\x03\x01",
    "H",
    "\r\n",
    "HTTP/1.1 200 OK\n",
    `${OK}X-A: b\n\n`,
    "HTTP/2",
  ])(
    "that begins with %j is refused before it ends if it cannot become one [R08, R11]",
    (start) => {
      const refused = start === "H" ? null : expect.any(String);
      expect(parseResponse([start], { thenEnd: false })).toMatchObject({ refused });
      expect(parseResponse([...start], { thenEnd: false })).toMatchObject({ refused });
    },
  );

  test("that lasts longer than the limit is refused, whole or dripping, before more is held [R08]", () => {
    const long = `${OK}X-A: ${"a".repeat(MAX_HEAD_BYTES)}`;
    expect(refusal(`${long}\r\n\r\n`)).toContain("longer than");
    expect(refusal(long)).toContain("longer than");
    expect(parseResponse([`${OK}X-A: `, long]).refused).not.toBeNull();
    const drips = Array.from({ length: MAX_HEAD_BYTES / 64 + 1 }, () => "a".repeat(64));
    expect(parseResponse([OK, "X-A: ", ...drips]).refused).toContain("longer than");
  });

  test("just within the limit is read, and one byte more is not, however it is cut", () => {
    const rest = "Content-Length: 0\r\nX-A: ";
    const fill = MAX_HEAD_BYTES - OK.length - rest.length - 4;
    const fits = `${OK}${rest}${"a".repeat(fill)}\r\n\r\n`;
    const tooLong = `${OK}${rest}${"a".repeat(fill + 1)}\r\n\r\n`;
    expect(fits.length).toBe(MAX_HEAD_BYTES);
    for (const cutAt of [0, 10, 1000, MAX_HEAD_BYTES - 4, MAX_HEAD_BYTES - 1]) {
      const cut = (text: string) =>
        cutAt === 0 ? [text] : [text.slice(0, cutAt), text.slice(cutAt)];
      expect(parseResponse(cut(fits), { thenEnd: false })).toMatchObject({
        complete: true,
        refused: null,
      });
      expect(parseResponse(cut(tooLong), { thenEnd: false }).refused).toContain("longer than");
    }
  });

  test("with too many fields is refused", () => {
    expect(refusal(`${OK}${"A: b\r\n".repeat(MAX_FIELDS)}\r\n`)).toBeNull();
    expect(refusal(`${OK}${"A: b\r\n".repeat(MAX_FIELDS + 1)}\r\n`)).toContain("header fields");
  });
});

describe("interim responses", () => {
  test("are skipped, also several in one piece with the final one [E20]", () => {
    const parsed = parseResponse(
      [
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
      ],
      { thenEnd: false },
    );
    expect(parsed).toMatchObject({ complete: true, body: "ok", overrun: false });
    expect(parsed.head).toMatchObject({ status: 200, headers: [["Content-Length", "2"]] });
  });

  test("without end are refused [R12]", () => {
    const interim = "HTTP/1.1 100 Continue\r\n\r\n";
    const final = `${OK}Content-Length: 0\r\n\r\n`;
    expect(refusal(interim.repeat(MAX_INTERIM) + final)).toBeNull();
    expect(refusal(interim.repeat(MAX_INTERIM + 1) + final)).toContain("interim");
  });

  test("alone are not a response", () => {
    expect(parseResponse(["HTTP/1.1 103 Early Hints\r\n\r\n"])).toMatchObject({
      head: null,
      complete: false,
    });
  });

  test("may not switch protocols, which nobody asked for [R09]", () => {
    expect(
      refusal("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    ).toContain("switches");
  });

  test("are judged as strictly as final ones", () => {
    expect(refusal(`HTTP/1.1 100 Continue\r\nbad\r\n\r\n${OK}Content-Length: 0\r\n\r\n`)).toContain(
      "colon",
    );
  });
});

describe("whether the connection is kept [F06]", () => {
  test.each([
    ["HTTP/1.1", "", true],
    ["HTTP/1.1", "Connection: close\r\n", false],
    ["HTTP/1.1", "connection: X-A , CLOSE\r\n", false],
    ["HTTP/1.1", "Connection: keep-alive\r\nConnection: close\r\n", false],
    ["HTTP/1.1", "Connection: closed\r\n", true],
    ["HTTP/1.0", "", false],
    ["HTTP/1.0", "Connection: Keep-Alive\r\n", true],
    ["HTTP/1.0", "Connection: keep-alive, close\r\n", false],
  ])("%s with %j: %p", (version, fields, persistent) => {
    const parsed = parseResponse([`${version} 200 OK\r\n${fields}Content-Length: 0\r\n\r\n`]);
    expect(parsed.head?.persistent).toBe(persistent);
  });

  test.each([
    ["timeout=5", 5000],
    ["timeout=5, max=100", 5000],
    ["max=100, Timeout = 20", 20_000],
    ["max=100", null],
    ["timeout=soon", null],
  ])("Keep-Alive: %s is %p ms", (value, keepAliveMs) => {
    const parsed = parseResponse([`${OK}Keep-Alive: ${value}\r\nContent-Length: 0\r\n\r\n`]);
    expect(parsed.head?.keepAliveMs).toBe(keepAliveMs);
  });
});
