/** Request heads that are not what RFC 9112 calls one: line ends, field names, control characters, versions, size. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { useRecordedFront } from "../_support/recorded-front.ts";

const front = useRecordedFront();

const HIDDEN = "GET /hidden HTTP/1.1\r\nHost: shop.example\r\n\r\n";

function get(fields: string, line = "GET /x HTTP/1.1"): string {
  return `${line}\r\nHost: shop.example\r\n${fields === "" ? "" : `${fields}\r\n`}\r\n`;
}

/** Refused by the runtime, which calls a line that it cannot read another version: 505. */
const BAD_LINE = [400, 505] as const;

describe("a field over several lines", () => {
  test.each([
    get("X-A: a\r\n b"),
    get("X-A: a\r\n\tb"),
    get("X-A: a\r\n \r\n b"),
    `POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`,
    `POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n , identity\r\n\r\n0\r\n\r\n`,
    `POST /x HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n 5\r\n\r\nhello`,
    `POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n 0\r\n\r\nhello`,
    `GET /x HTTP/1.1\r\nHost: a\r\n b\r\n\r\n`,
  ])("is refused (%j) [A13]", async (bytes) => {
    await front.refused(bytes, 400);
  });
});

describe("a line end", () => {
  test.each([
    "GET /x HTTP/1.1\nHost: a\r\n\r\n",
    "GET /x HTTP/1.1\r\nHost: a\nX-B: b\r\n\r\n",
    "GET /x HTTP/1.1\r\nHost: a\r\n\n",
    "GET /x HTTP/1.1\r\nHost: a\n\r\n",
    "GET /x HTTP/1.1\r\nHost: a\r\nX-B: b\n\n",
    `GET /x HTTP/1.1\nHost: a\n\n${HIDDEN}`,
  ])("that is a bare line feed is refused (%j) [A14]", async (bytes) => {
    await front.refused(bytes, ...BAD_LINE);
  });

  test.each([
    get("X-A: a\rb"),
    get("X-A: a\r\r"),
    get("X-A: a\rContent-Length: 5"),
    get("X-A: a\r Transfer-Encoding: chunked"),
    get("X-A\r: a"),
    "GET /x HTTP/1.1\rHost: a\r\r",
    "GET /x HTTP/1.1\r\nHost: a\rX-B: b\r\n\r\n",
    "GET /x HTTP/1.1\r\nHost: a\r\r\n\r\n",
    "GET /x HTTP/1.1\r\nHost: a\r\n\r\r\n",
  ])(
    "that is a bare carriage return is refused, as is one in a value (%j) [A15]",
    async (bytes) => {
      await front.refused(bytes, ...BAD_LINE);
    },
  );
});

describe("white space", () => {
  test.each([
    get("X-A : a"),
    get("X-A\t: a"),
    get("Content-Length : 5"),
    "GET /x HTTP/1.1\r\nHost : a\r\n\r\n",
  ])("before a colon is refused (%j) [A16]", async (bytes) => {
    await front.refused(bytes, 400);
  });

  test.each([" X-A: a", "\tX-A: a", " Host: b", " ", "\t", " Transfer-Encoding: chunked"])(
    "at the start of the line after the request line is refused (%j) [A17]",
    async (line) => {
      await front.refused(
        `POST /x HTTP/1.1\r\n${line}\r\nHost: a\r\nContent-Length: 0\r\n\r\n`,
        400,
      );
    },
  );
});

describe("a control character", () => {
  const CONTROLS = [...Array.from({ length: 32 }, (_, code) => code), 0x7f].map((code) =>
    String.fromCharCode(code),
  );
  // Both are allowed somewhere: a tab is white space in a value.
  const inValues = CONTROLS.filter((control) => control !== "\t");

  test("in a field's name is refused, each of them [A18]", async () => {
    for (const control of CONTROLS) {
      const { requests } = await front.refused(get(`X-${control}A: a`), 400);
      expect(requests).toEqual([]);
    }
  });

  test("in a field's value is refused, each of them [A18]", async () => {
    for (const control of inValues) {
      for (const bytes of [
        get(`X-A: a${control}b`),
        get(`Cookie: ${control}`),
        `GET /x HTTP/1.1\r\nHost: a${control}b\r\n\r\n`,
      ]) {
        const { requests } = await front.refused(bytes, 400);
        expect(requests).toEqual([]);
      }
    }
  });

  test("in the request line is refused, each of them [A18]", async () => {
    for (const control of CONTROLS) {
      for (const line of [`/a${control}b`, `/a?${control}`, `${control}/`]) {
        const { requests } = await front.refused(get("", `GET ${line} HTTP/1.1`), ...BAD_LINE);
        expect(requests).toEqual([]);
      }
    }
    for (const control of CONTROLS) {
      const { requests } = await front.refused(get("", `GE${control}T /x HTTP/1.1`), ...BAD_LINE);
      expect(requests).toEqual([]);
    }
  });
});

describe("a field's name", () => {
  test.each([...'[]@"(),/;<=>?{}\\ ', "\xe9", "\xc3\xa9", "\x80"])(
    "with a character that none may have is refused (%j) [A19]",
    async (character) => {
      await front.refused(get(`X-${character}A: a`), 400);
      await front.refused(get(`${character}Transfer-Encoding: chunked`), 400);
      await front.refused(get(`X-A${character}: a`), 400);
    },
  );

  test.each([": x", " : x", ":", "no colon", "nocolon", "GET /hidden HTTP/1.1"])(
    "that is missing, or its colon, is refused (%j) [A19]",
    async (line) => {
      await front.refused(get(line), 400);
      await front.refused(`GET /x HTTP/1.1\r\n${line}\r\nHost: a\r\n\r\n`, 400);
    },
  );
});

describe("a head that is too large", () => {
  const HEADS = {
    "one field of 64 KiB": get(`X-A: ${"a".repeat(64 * 1024)}`),
    "516 fields": get(Array.from({ length: 516 }, (_, index) => `X-${index}: 1`).join("\r\n")),
    "a target of 100 KiB": get("", `GET /${"a".repeat(100 * 1024)} HTTP/1.1`),
    "a method of 100 KiB": get("", `${"G".repeat(100 * 1024)} /x HTTP/1.1`),
    "a field's name of 100 KiB": get(`${"X".repeat(100 * 1024)}: a`),
  };

  test.each(Object.entries(HEADS))(
    "is refused, and its connection closed (%s) [A35]",
    async (_what, bytes) => {
      const { requests } = await front.refused(bytes, 400, 414, 431);
      expect(requests).toEqual([]);
    },
  );

  // The worker's memory is read from /proc.
  test.skipIf(process.platform !== "linux")(
    "is not kept in memory, however many come [A35]",
    async () => {
      const [worker] = await front.proxy.workers();
      const resident = (): number => {
        const status = readFileSync(`/proc/${worker?.pid}/status`, "utf8");
        return Number(/VmRSS:\s*(\d+) kB/.exec(status)?.[1]) * 1024;
      };
      const large = get(`X-A: ${"a".repeat(2 ** 20)}`);
      for (let i = 0; i < 20; i++) await front.refused(large, 431);
      const before = resident();
      for (let i = 0; i < 100; i++) await front.refused(large, 431);
      expect(before).toBeGreaterThan(0);
      expect(resident() - before).toBeLessThan(32 * 2 ** 20);
    },
  );

  test("has more than 198 fields, or more than 16 KiB [A35]", async () => {
    const fields = (count: number) =>
      get(Array.from({ length: count - 1 }, (_, index) => `X-${index}: ${index}`).join("\r\n"));
    const { requests } = await front.answered(fields(198));
    expect(requests[0]?.header("x-196")).toBe("196");
    await front.refused(fields(199), 431);
    const long = await front.answered(get(`X-A: ${"a".repeat(16_000)}`));
    expect(long.requests[0]?.header("x-a")).toHaveLength(16_000);
    await front.refused(get(`X-A: ${"a".repeat(16 * 1024)}`), 431);
  });
});

describe("a version", () => {
  test.each([
    "GET /\r\n",
    "GET /\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    ...["HTTP/1.2", "HTTP/2.0", "HTTP/9.9", "HTTP/1.1 ", "http/1.1", "HTTP/1", "HTTP/1.10"].map(
      (version) => get("", `GET /x ${version}`),
    ),
  ])("other than 1.0 and 1.1 is refused (%j) [A36]", async (bytes) => {
    const { requests } = await front.refused(bytes, ...BAD_LINE);
    expect(requests).toEqual([]);
  });
});

describe("what is no request at all", () => {
  test.each([
    ["noise", "\x81\x92\xff\xfe\0\x01".repeat(50)],
    ["a TLS ClientHello", `\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03${"\x42".repeat(500)}`],
    ["an SSH greeting", "SSH-2.0-OpenSSH_9.9\r\n"],
  ])("is refused, and its connection closed (%s) [A37]", async (_what, bytes) => {
    const { requests } = await front.refused(bytes, ...BAD_LINE);
    expect(requests).toEqual([]);
  });

  test.each(["\r\n", "\r\n\r\n", "\n", "\r\n".repeat(5 * 2 ** 20)])(
    "is ignored before a request as long as it is empty lines (%#) [A37]",
    async (lines) => {
      const { requests } = await front.answered(`${lines}${HIDDEN}`);
      expect(requests.map(({ target }) => target)).toEqual(["/hidden"]);
    },
  );

  test("is ignored between two requests, if it is an empty line [A37]", async () => {
    const body = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    const { requests } = await front.answered(`${body}\r\n${HIDDEN}`, 2);
    expect(requests.map(({ target }) => target)).toEqual(["/x", "/hidden"]);
  });
});
