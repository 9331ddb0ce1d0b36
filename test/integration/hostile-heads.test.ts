/**
 * Backends whose heads are none, or never end, through the compiled binary. As in hostile-backends.test.ts, each case
 * is followed by requests that must get their own answers, over other connections to the backend.
 */
import { describe, expect, test } from "bun:test";
import type { FakeWire } from "../_support/fake-backend.ts";
import { EVIL, useLyingBackend, valuesOf } from "../_support/lying-backend.ts";

const OK = "HTTP/1.1 200 OK\r\n";
const EMPTY = "Content-Length: 0\r\n\r\n";
const CHUNKED = "Transfer-Encoding: chunked\r\n";

const liar = useLyingBackend();
const lie = liar.lie.bind(liar);
const expectRefusal = liar.expectRefusal.bind(liar);

describe("a head that is none", () => {
  test.each([
    ["a line without a colon", "nonsense\r\n"],
    ["an empty name", ": EVIL\r\n"],
    ["an empty name and a blank", " : EVIL\r\n"],
    ["a name of two words", "X A: EVIL\r\n"],
    ["NUL in a value", "X-A: a\0EVIL\r\n"],
    ["NUL in a name", "X\0A: EVIL\r\n"],
    ["a control character in a value", "X-A: a\x01EVIL\r\n"],
    ["a vertical tab in a value", "X-A: \x0bEVIL\r\n"],
    ["an escape sequence in a value", "X-A: \x1b[2JEVIL\r\n"],
    ["DEL in a value", "X-A: a\x7fEVIL\r\n"],
    ["a bare CR in a value", "X-A: a\rX-B: EVIL\r\n"],
    ["a folded line", "X-A: a\r\n EVIL\r\n"],
    ["a line folded with a tab", "X-A: a\r\n\tEVIL: b\r\n"],
    ["a folded Content-Length", "Content-Length:\r\n 4\r\n"],
    ["a folded line that hides a length", "X-A: a\r\n Content-Length: 4\r\n"],
    ["a folded line right after the status line", " X-A: EVIL\r\n"],
    ["a name that is no token", "X[A]: EVIL\r\n"],
    ["a name with a latin-1 letter", "X-\xe9: EVIL\r\n"],
  ])("with %s: 502 [R06]", (_what, field) => {
    return expectRefusal(`${OK}${field}Content-Length: 0\r\n\r\n`);
  });

  test("with a control character in its reason phrase: 502 [R06]", () => {
    return expectRefusal(`HTTP/1.1 200 O\x01K\r\n${EMPTY}`);
  });

  test.each([
    "HTTP/1.1 abc",
    "HTTP/1.1",
    "HTTP/1.1 99 X",
    "HTTP/1.1 099 X",
    "HTTP/1.1 000 X",
    "HTTP/1.1 600 X",
    "HTTP/1.1 999 X",
    "HTTP/1.1 1000 X",
    "HTTP/1.1 20 X",
    "HTTP/1.1 -200 X",
    "HTTP/1.1 200OK",
    "HTTP/1.1  200 OK",
    "HTTP/0.9 200 OK",
    "HTTP/1.2 200 OK",
    "HTTP/2 200 OK",
    "http/1.1 200 OK",
    "ICY 200 OK",
    "SSH-2.0-OpenSSH_9.2",
    "Content-Type: text/html",
    "<html>EVIL</html>",
    "\x16\x03\x03\x00\x7a",
    "",
  ])("with the status line %j: 502 [R08]", (line) => expectRefusal(`${line}\r\n${EMPTY}EVIL`));

  test("of 700 KiB, in one field or in many: 502 [R08]", async () => {
    await expectRefusal(`${OK}X-A: ${"EVIL".repeat(180_000)}\r\n${EMPTY}`);
    await expectRefusal(`${OK}${"X-A: EVIL\r\n".repeat(70_000)}${EMPTY}`);
    await expectRefusal(`HTTP/1.1 200 ${"EVIL".repeat(180_000)}\r\n${EMPTY}`);
  });

  test("that never ends: 502, and it is not read on [R08]", async () => {
    let sent = 0;
    const piece = `X-A: ${"EVIL".repeat(16_000)}\r\n`;
    const raw = async (wire: FakeWire) => {
      await wire.write(OK);
      for (; wire.end === null; sent += piece.length) await wire.write(piece);
    };
    expect(await lie({ raw })).toMatchObject({ complete: true, head: { status: 502 } });
    // What two kernel buffers hold.
    expect(sent).toBeLessThan(16 * 2 ** 20);
  });

  test("that drips for ever, or stops: 504 after timeouts.firstByte [R08]", async () => {
    const drip = async (wire: FakeWire) => {
      await wire.write(OK);
      while (wire.end === null) {
        await wire.write("X-A: EVIL\r\n");
        await Bun.sleep(5);
      }
    };
    for (const raw of [drip, [OK], ["HTTP/1"], []]) {
      const answer = await lie({ target: "/impatient", raw });
      expect(answer).toMatchObject({ complete: true, head: { status: 504 } });
      expect(JSON.parse(answer.body)).toMatchObject({ error: { code: "first_byte_timeout" } });
    }
  });

  test.each(["", "H", "HTTP/1.1 200 OK", `${OK}X-A: EVIL`, `${OK}X-A: EVIL\r\n\r`])(
    "that ends after %j: 502 [R08]",
    async (start) => {
      for (const afterwards of ["fin", "reset"] as const) {
        // A GET would be repeated over a fresh connection, once.
        const answer = await lie({ method: "POST", raw: [start], afterwards });
        expect(answer).toMatchObject({ complete: true, head: { status: 502 } });
        expect(JSON.parse(answer.body)).toMatchObject({ error: { code: "reset" } });
      }
    },
  );

  test.each([
    `HTTP/1.1 200 OK\nContent-Length: 4\n\nEVIL`,
    `${OK}Content-Length: 4\n\nEVIL`,
    `${OK}Content-Length: 4\r\n\nEVIL`,
    `${OK}Content-Length: 4\n\r\nEVIL`,
    `${OK}X-A: b\nX-B: c\r\n${EMPTY}`,
    `HTTP/1.1 200 OK\n\r\n\r\n`,
    `HTTP/1.1 200 OK\rContent-Length: 4\r\rEVIL`,
    `${OK}${CHUNKED}\r\n`.replaceAll("\r\n", "\n") + "4\nEVIL\n0\n\n",
  ])("with lines that end in a bare LF or CR: 502: %j [R11]", async (sent) => {
    await expectRefusal(`${sent}\r\n\r\n`);
  });

  test("as an old CGI writes it is refused before it ends: nobody waits for it [R11]", async () => {
    await expectRefusal("HTTP/1.1 200 OK\nContent-Length: 0\n\n");
  });
});

describe("a space before a field's colon", () => {
  test.each([" ", "\t", "  \t "])(
    "is removed before the field goes on: %j [R07]",
    async (blank) => {
      const raw = [`${OK}X-A${blank}: b\r\nContent-Length: 2\r\n\r\nok`];
      const answer = await lie({ raw, inOrder: true });
      expect(answer).toMatchObject({ complete: true, head: { status: 200 }, body: "ok" });
      expect(valuesOf(answer, "x-a")).toEqual(["b"]);
    },
  );

  test.each([
    [`${OK}Content-Length : 2\r\n\r\nok`],
    [`${OK}Transfer-Encoding\t: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`],
  ])(
    "hides no framing: what follows the body is still not part of it: %j [R07]",
    async (message) => {
      const answer = await lie({ raw: [message + EVIL] });
      expect(answer).toMatchObject({ complete: true, head: { status: 200 }, body: "ok" });
    },
  );

  test.each([
    "Content-Length : 2\r\nContent-Length: 4\r\n",
    "Content-Length: 4\r\nTransfer-Encoding : chunked\r\n",
    "Transfer-Encoding : chunked\r\nTransfer-Encoding: chunked\r\n",
  ])("makes no second framing acceptable: %j [R01, R02, R07]", (fields) => {
    return expectRefusal(`${OK}${fields}\r\n4\r\nEVIL\r\n0\r\n\r\n`);
  });

  test("hides no field that concerns one connection only [R07]", async () => {
    const fields = "Connection : X-Hop, close\r\nX-Hop : 1\r\nKeep-Alive : timeout=9\r\n";
    const answer = await lie({ raw: [`${OK}${fields}${EMPTY}`] });
    expect(answer).toMatchObject({ complete: true, head: { status: 200 } });
    for (const name of ["x-hop", "keep-alive"]) expect(valuesOf(answer, name)).toEqual([]);
  });
});

describe("interim responses", () => {
  const INTERIM = "HTTP/1.1 100 Continue\r\n\r\n";

  test("without end, at once or one after the other: 502 [R12]", async () => {
    await expectRefusal(INTERIM.repeat(10_000) + EVIL);
    await expectRefusal("HTTP/1.1 103 X\r\nLink: </EVIL>\r\n\r\n".repeat(10_000));
    let sent = 0;
    const raw = async (wire: FakeWire) => {
      for (; wire.end === null; sent++) {
        await wire.write(INTERIM);
        await Bun.sleep(1);
      }
    };
    expect(await lie({ raw })).toMatchObject({ complete: true, head: { status: 502 } });
    expect(sent).toBeGreaterThan(16);
    // The first-byte timeout ends those that stop, with or without some before.
    const stopped = await lie({ target: "/impatient", raw: [INTERIM.repeat(3)] });
    expect(stopped).toMatchObject({ complete: true, head: { status: 504 } });
  });

  test("a few, and then the answer: the client gets that one [R12]", async () => {
    const raw = [`${INTERIM.repeat(16)}${OK}Content-Length: 2\r\n\r\nok`];
    const answer = await lie({ raw, inOrder: true });
    expect(answer).toMatchObject({ complete: true, head: { status: 200 }, body: "ok" });
  });

  test("with a body, which they cannot have: 502 [R12]", () => {
    return expectRefusal(`HTTP/1.1 100 X\r\nContent-Length: 4\r\n\r\nEVIL${OK}${EMPTY}`);
  });
});
