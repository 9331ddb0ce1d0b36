/**
 * Backends that lie about their responses, through the compiled binary, byte by byte. After each lie another client
 * asks over the same proxy, whose pool has this one backend only, and must get its own answer; the client that was
 * lied to goes on over its connection and must find nothing there but its next answer; the connection that carried
 * the lie is closed and never used again.
 */
import { describe, expect, test } from "bun:test";
import { EVIL, type Lie, useLyingBackend, valuesOf } from "../_support/lying-backend.ts";

const OK = "HTTP/1.1 200 OK\r\n";
const EMPTY = "Content-Length: 0\r\n\r\n";
const CHUNKED = "Transfer-Encoding: chunked\r\n";

const liar = useLyingBackend();
const lie = liar.lie.bind(liar);
const expectRefusal = liar.expectRefusal.bind(liar);

describe("framing that can be read in two ways", () => {
  const LENGTH = "Content-Length: 4\r\n";
  const CHUNKS = "4\r\nEVIL\r\n0\r\n\r\n";

  test.each([
    `${OK}${LENGTH}${CHUNKED}\r\n${CHUNKS}`,
    `${OK}${CHUNKED}${LENGTH}\r\n${CHUNKS}`,
    `${OK}Content-Length: ${CHUNKS.length}\r\n${CHUNKED}\r\n${CHUNKS}`,
    `${OK}Content-Length: 0\r\n${CHUNKED}\r\n${CHUNKS}`,
    `${OK}${LENGTH}X-Between: 1\r\n${CHUNKED}\r\n${CHUNKS}`,
    `${OK}${LENGTH}Transfer-Encoding: identity\r\n\r\nEVIL`,
    `HTTP/1.0 200 OK\r\n${LENGTH}${CHUNKED}\r\n${CHUNKS}`,
    `HTTP/1.1 404 X\r\n${LENGTH}${CHUNKED}\r\n${CHUNKS}`,
  ])("Content-Length and Transfer-Encoding together: 502: %j [R01]", expectRefusal);

  test("both where no body follows are a 502 as well [R01]", async () => {
    const answer = await lie({ method: "HEAD", raw: [`${OK}${LENGTH}${CHUNKED}\r\n`] });
    expect(answer).toMatchObject({ complete: true, head: { status: 502 } });
  });

  test.each([
    "foo",
    "",
    "-4",
    "+4",
    "0x4",
    "4 4",
    "4;",
    "4,",
    "4.0",
    "4_0",
    "\x0b4",
    "9".repeat(21),
    "9007199254740993",
    "18446744073709551620",
    "4294967300, 4",
  ])("a Content-Length of %j: 502 [R02]", (value) => {
    return expectRefusal(`${OK}Content-Length: ${value}\r\n\r\nEVIL`);
  });

  test.each([
    "Content-Length: 4\r\nContent-Length: 5\r\n",
    "Content-Length: 5\r\nX-Between: 1\r\ncontent-length: 4\r\n",
    "Content-Length: 4, 5\r\n",
    "Content-Length: 4\r\nContent-Length: 04\r\n",
    "Content-Length: 4\r\nContent-Length:\r\n",
    "Content-Length:\r\nContent-Length: 4\r\n",
    "Content-Length: 4\r\nContent-Length: foo\r\n",
  ])("two different Content-Lengths: 502: %j [R02]", (fields) => {
    return expectRefusal(`${OK}${fields}\r\nEVIL!`);
  });

  test.each(["foo", "gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "identity"])(
    "a Transfer-Encoding of %s: 502 [R02]",
    (coding) => expectRefusal(`${OK}Transfer-Encoding: ${coding}\r\n\r\n${CHUNKS}`),
  );

  test.each(["", "chunked;q=1", '"chunked"', "xchunked", "\x0bchunked", "chunked\0", "chunked,"])(
    "a Transfer-Encoding of %j, which others may take for chunked: 502 [R02]",
    (coding) => expectRefusal(`${OK}Transfer-Encoding: ${coding}\r\n\r\n${CHUNKS}`),
  );

  test.each(["chunked", "identity", "foo", ""])(
    "Transfer-Encoding twice, the second time %j: 502 [R02]",
    async (coding) => {
      const second = `transfer-encoding: ${coding}\r\n`;
      await expectRefusal(`${OK}${CHUNKED}${second}\r\n${CHUNKS}`);
      await expectRefusal(`${OK}${second}${CHUNKED}\r\n${CHUNKS}`);
    },
  );

  test.each(["Content-Length: 4\r\ncontent-length: 4\r\n", "Content-Length: 4, 4\r\n"])(
    "the same Content-Length twice is said once: %j [R03]",
    async (fields) => {
      const answer = await lie({ raw: [`${OK}${fields}\r\nfour`], inOrder: true });
      expect(answer).toMatchObject({ complete: true, head: { status: 200 }, body: "four" });
      expect(valuesOf(answer, "content-length")).toEqual(["4"]);
      const head = await lie({ method: "HEAD", raw: [`${OK}${fields}\r\n`], inOrder: true });
      expect(valuesOf(head, "content-length")).toEqual(["4"]);
    },
  );
});

describe("bytes after the message", () => {
  const long = "x".repeat(600_000);

  test.each([
    ["Content-Length", "GET", `${OK}Content-Length: 2\r\n\r\nok`, "ok"],
    ["Content-Length: 0", "GET", `${OK}${EMPTY}`, ""],
    ["a body that is streamed", "GET", `${OK}Content-Length: ${long.length}\r\n\r\n${long}`, long],
    ["the last chunk", "GET", `${OK}${CHUNKED}\r\n2\r\nok\r\n0\r\n\r\n`, "ok"],
    ["a trailer", "GET", `${OK}${CHUNKED}\r\n2\r\nok\r\n0\r\nX-T: v\r\n\r\n`, "ok"],
    ["a chunked body that is streamed", "GET", `${OK}${CHUNKED}\r\n${chunk(long)}0\r\n\r\n`, long],
    ["the head of a 204", "GET", "HTTP/1.1 204 X\r\n\r\n", ""],
    [
      "a 204 that announces a body",
      "GET",
      `HTTP/1.1 204 X\r\nContent-Length: ${EVIL.length}\r\n\r\n`,
      "",
    ],
    ["a 204 that announces chunks", "GET", `HTTP/1.1 204 X\r\n${CHUNKED}\r\n`, ""],
    ["the head of a 304", "GET", "HTTP/1.1 304 X\r\n\r\n", ""],
    [
      "a 304 that announces a body",
      "GET",
      `HTTP/1.1 304 X\r\nContent-Length: ${EVIL.length}\r\n\r\n`,
      "",
    ],
    ["the answer to HEAD", "HEAD", `${OK}Content-Length: ${EVIL.length}\r\n\r\n`, ""],
    ["the answer to HEAD, chunked", "HEAD", `${OK}${CHUNKED}\r\n`, ""],
    ["the answer to HEAD, no length", "HEAD", `${OK}\r\n`, ""],
    ["an error of the backend's", "GET", "HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\nno", "no"],
  ])("after %s: delivered clean [R04]", async (_what, method, message, body) => {
    const junk = ["\r\n", "0\r\n\r\n", "\0", "E", "HTTP/1.1 100 Continue\r\n\r\n", EVIL];
    const ways: Pick<Lie, "raw" | "late">[] = [
      ...junk.map((extra) => ({ raw: [message + extra] })),
      { raw: [message, EVIL] },
      ...junk.map((late) => ({ raw: [message], late })),
    ];
    for (const way of ways) {
      const answer = await lie({ method, ...way });
      expect(answer).toMatchObject({ complete: true, refused: null });
      expect(answer.head?.status).toBe(Number(message.slice(9, 12)));
      expect(answer.body === body).toBe(true);
    }
  });
});

function chunk(body: string): string {
  return `${body.length.toString(16)}\r\n${body}\r\n`;
}
