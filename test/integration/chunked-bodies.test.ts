/**
 * Request bodies in chunks: sizes, extensions, the line ends between them, and what follows the last one.
 * What is accepted is framed anew for the backend.
 */
import { describe, expect, test } from "bun:test";
import type { FakeRequest } from "../_support/fake-request.ts";
import { useRecordedFront, within } from "../_support/recorded-front.ts";

const BODY_MAX = 1024;
const front = useRecordedFront({ body: { max: "1KiB" } });

const HEAD =
  "POST /x HTTP/1.1\r\nHost: shop.example\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
const HIDDEN = "GET /hidden HTTP/1.1\r\nHost: shop.example\r\n\r\n";
const HELLO = "5\r\nhello\r\n";

function bodiesOf(requests: readonly FakeRequest[]): string[] {
  return requests.map(({ text }) => text);
}

describe("a chunk size", () => {
  test.each([
    "0x5",
    "+5",
    "-5",
    "5_0",
    " 5",
    "\t5",
    "5 ",
    "5\t",
    "",
    "G",
    "5h",
    "5\0",
    "5,5",
    "5.0",
  ])("that is no bare hexadecimal number is refused (%j) [A20]", async (size) => {
    await front.refused(`${HEAD}${size}\r\nhello\r\n0\r\n\r\n`, 400);
    await front.refused(`${HEAD}${HELLO}${size}\r\n\r\n${HIDDEN}`, 400);
  });

  test.each([
    (2n ** 61n).toString(16),
    (2n ** 64n + 5n).toString(16),
    "f".repeat(16),
    "f".repeat(400),
  ])("that nothing can hold is refused (%s) [A21]", async (size) => {
    const { requests } = await front.refused(`${HEAD}${size}\r\nhello\r\n0\r\n\r\n${HIDDEN}`, 400);
    expect(requests).toEqual([]);
  });

  test.each([(2n ** 32n).toString(16), (2n ** 32n + 5n).toString(16), "f".repeat(13)])(
    "beyond 32 bits is taken whole: what follows belongs to it, up to body.max (%s) [A21]",
    async (size) => {
      const cut = `hello\r\n0\r\n\r\n${HIDDEN}`.padEnd(BODY_MAX + 1, "x");
      const { requests } = await front.refused(`${HEAD}${size}\r\n${cut}`, 413);
      expect(requests.map(({ target }) => target)).not.toContain("/hidden");
    },
  );

  test.each(["05", "5".padStart(16, "0"), "5".padStart(400, "0")])(
    "with leading zeros is what it says (%s) [A21]",
    async (size) => {
      const { requests } = await front.answered(`${HEAD}${size}\r\nhello\r\n0\r\n\r\n`);
      expect(bodiesOf(requests)).toEqual(["hello"]);
    },
  );
});

describe("a chunk extension", () => {
  test.each(["5;a=b", "5;a", '5;a="b;c"', "5;a=b;c=d", `5;a=${"x".repeat(15_000)}`])(
    "is ignored, and not passed on (%s) [A22]",
    async (size) => {
      const { requests } = await front.answered(`${HEAD}${size}\r\nhello\r\n0;z=1\r\n\r\n`);
      expect(bodiesOf(requests)).toEqual(["hello"]);
      expect(requests[0]?.raw.toString("latin1")).not.toContain(";");
    },
  );

  test("that is empty is ignored, too: the runtime takes it for one [A22]", async () => {
    const { requests } = await front.answered(`${HEAD}5;\r\nhello\r\n0\r\n\r\n`);
    expect(requests[0]?.raw.toString("latin1")).toEndWith(`\r\n\r\n${HELLO}0\r\n\r\n`);
  });

  test.each(["5;a=b\nc", "5;\n", "5;a\n5", "5;a=b\0c", "5;a=b\rc", "5;a\r"])(
    "with a line feed, a NUL or a lone carriage return is refused (%j) [A22]",
    async (size) => {
      await front.refused(`${HEAD}${size}\r\nhello\r\n0\r\n\r\n`, 400);
    },
  );

  test("of 64 KiB is refused [A22]", async () => {
    const { requests } = await front.refused(
      `${HEAD}5;a=${"x".repeat(64 * 1024)}\r\nhello\r\n0\r\n\r\n`,
      413,
    );
    expect(requests.filter(({ bodyLength }) => bodyLength > 0)).toEqual([]);
  });

  test("of 15 KiB with each byte costs the backend nothing, and ends at body.max [A22]", async () => {
    const chunk = `1;a=${"x".repeat(15 * 1024)}\r\nh\r\n`;
    const { requests } = await front.answered(`${HEAD}${chunk.repeat(40)}0\r\n\r\n`);
    expect(bodiesOf(requests)).toEqual(["h".repeat(40)]);
    expect(requests[0]?.raw.length).toBeLessThan(1000);
    await front.refused(`${HEAD}${chunk.repeat(BODY_MAX + 1)}`, 413);
  });
});

describe("chunk data", () => {
  test.each([
    "5\r\nhelloXX0\r\n\r\n",
    "5\r\nhello0\r\n\r\n",
    "5\r\nhello\n0\r\n\r\n",
    "5\r\nhello\r0\r\n\r\n",
    "5\r\nhello\rX0\r\n\r\n",
    "5\nhello\r\n0\r\n\r\n",
    "5\rhello\r\n0\r\n\r\n",
    "5\r\nhello world\r\n0\r\n\r\n",
    `5\r\nhello${HIDDEN}`,
  ])("that does not end where its size says, in CRLF, is refused (%j) [A23]", async (chunks) => {
    await front.refused(`${HEAD}${chunks}`, 400);
  });
});

describe("the last chunk", () => {
  // Told too early of the end, the backend once got a whole request of it.
  test.each(["XX\r\n\r\n", `XX${HIDDEN}`, "\n\r\n", HIDDEN])(
    "with something else than an empty line or trailers after it is refused (%j) [A24]",
    async (rest) => {
      await front.refused(`${HEAD}0\r\n${rest}`, 400);
      await front.refused(`${HEAD}${HELLO}0\r\n${rest}`, 400);
    },
  );

  test.each(["", "\r", "XX", "\rX", "X-T: v\r\n"])(
    "without the empty line is no end: no backend gets the request whole (%j) [A24]",
    async (rest) => {
      const { requests, received } = await front.play(async () => {
        const client = await front.connect();
        client.send(`${HEAD}${HELLO}0\r\n${rest}`);
        await front.canary();
        client.halfClose();
        await within(client.closed, () => `open after ${client.received()}`);
        return client.received();
      });
      expect(received).toBe("");
      expect(requests.filter(({ complete }) => complete)).toEqual([]);
    },
  );

  test.each(["0XX\r\n\r\n", "0\n\n", "0\n\r\n"])(
    "that is none is refused (%j) [A24]",
    async (end) => {
      await front.refused(`${HEAD}${HELLO}${end}`, 400);
    },
  );

  test.each(["XX\r\n\r\n", HIDDEN])(
    "with something else that comes later than it is refused: that is no request (%j) [A24]",
    async (rest) => {
      const { requests, statuses } = await front.play(async () => {
        const client = await front.connect();
        client.send(`${HEAD}${HELLO}0\r\n`);
        await front.canary();
        client.send(rest);
        await within(client.closed, () => `open after ${client.received()}`);
        return client.received();
      });
      expect(statuses).toEqual([400]);
      expect(requests.filter(({ complete }) => complete)).toEqual([]);
    },
  );
});

describe("a request with trailers", () => {
  test.each(["X-T: v", "X-T: v\r\nX-U: w", "X-Empty:"])(
    "is accepted without them (%j) [A25]",
    async (trailers) => {
      const announced = HEAD.replace("\r\n\r\n", "\r\nTrailer: X-T\r\n\r\n");
      const end = `${trailers}\r\n\r\n`;
      for (const bytes of [
        `${HEAD}0\r\n${end}`,
        `${HEAD}${HELLO}0\r\n${end}`,
        `${announced}${HELLO}0\r\n${end}`,
      ]) {
        const { requests } = await front.answered(bytes);
        expect(requests.map(({ complete }) => complete)).toEqual([true]);
        expect(requests[0]?.raw.toString("latin1")).toEndWith("\r\n0\r\n\r\n");
        expect(requests[0]?.raw.toString("latin1")).not.toMatch(/x-(t|u|empty)/i);
      }
    },
  );

  test.each(["Content-Length: 50", "Transfer-Encoding: identity"])(
    "that frame it once more is refused (%s) [A26]",
    async (trailer) => {
      await front.refused(`${HEAD}${HELLO}0\r\n${trailer}\r\n\r\n${HIDDEN}`, 400);
    },
  );

  test.each(["Host: evil.example", "Authorization: Basic ZXZpbA==", "Content-Type: text/evil"])(
    "that belong to the head cannot change the head (%s) [A26]",
    async (trailer) => {
      const { requests } = await front.answered(`${HEAD}${HELLO}0\r\n${trailer}\r\n\r\n`);
      expect(bodiesOf(requests)).toEqual(["hello"]);
      const [request] = requests;
      expect(request?.header("host")).toBe("shop.example");
      expect(request?.header("content-type")).toBe("text/plain");
      expect(request?.header("transfer-encoding")).toBe("chunked");
      expect(request?.header("authorization")).toBeNull();
    },
  );
});
