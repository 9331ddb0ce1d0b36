/** `Expect`: whatever it says and whatever comes of it, the next request is found where this one ends. */
import { describe, expect, test } from "bun:test";
import { bodyOf, useRecordedFront, within } from "../_support/recorded-front.ts";

const front = useRecordedFront();

/** A body that would make a request. */
const HIDDEN = "GET /hidden HTTP/1.1\r\nHost: shop.example\r\n\r\n";

function head(expectation: string, length: number): string {
  return `POST /x HTTP/1.1\r\nHost: shop.example\r\nExpect: ${expectation}\r\nContent-Length: ${length}\r\n\r\n`;
}

describe("a request that expects 100-continue", () => {
  const NEXT = "GET /next HTTP/1.1\r\nHost: shop.example\r\n\r\n";

  describe("of a backend that refuses it after the head", () => {
    const early = useRecordedFront(
      {},
      {
        answerAt: "head",
        handler: ({ method, target }) =>
          target === "/x" ? { status: 417, body: "no" } : `${method} ${target}`,
      },
    );

    test("and sends its body all the same: that is no request, the next one is [A31]", async () => {
      const { requests, statuses, received } = await early.play(async () => {
        const client = await early.connect();
        client.send(head("100-continue", HIDDEN.length));
        await within(
          client.until((text) => text.endsWith("no")),
          () => client.received(),
        );
        client.send(`${HIDDEN}${NEXT}`);
        await within(
          client.until((text) => text.endsWith("GET /next")),
          () => client.received(),
        );
        client.reset();
        return client.received();
      });
      expect(statuses).toEqual([100, 417, 200]);
      expect(requests.map(({ target }) => target)).toEqual(["/x", "/next"]);
      expect(bodyOf(received)).toBe("GET /next");
    });
  });

  test.each([
    "100-continue\r\nExpect: 100-continue",
    "100-continue, 100-continue",
    "100-continue, x",
    "x,100-Continue",
    "100-continue,",
  ])(
    "in a list: an early answer ends the connection, what follows is no request (%j) [A32]",
    async (value) => {
      const { requests, statuses } = await front.play(async () => {
        const client = await front.connect();
        // Refused before anything of the body was there.
        const refused = head(value, HIDDEN.length).replace("\r\nExpect", "\r\nHost: two\r\nExpect");
        client.send(refused);
        await within(
          client.until((text) => text.includes("\r\n\r\n")),
          () => client.received(),
        );
        client.send(NEXT);
        await client.closed;
        return client.received();
      });
      expect(statuses).toEqual([400]);
      expect(requests).toEqual([]);
    },
  );

  test.each([
    "100-Continue",
    "100-CONTINUE",
    "y 100-continue",
    "100-continue, 100-continue",
    "100-continue\r\nExpect: 100-continue",
    "100-continue;q=1",
    "\t100-continue",
    "200-ok",
    "",
  ])("in other words, or twice, is a request like any other (%j) [A32]", async (value) => {
    const { requests, statuses } = await front.play(async () => {
      const client = await front.connect();
      client.send(head(value, 5));
      await front.canary();
      client.send("hello");
      await within(
        client.until((text) => text.endsWith("POST /x")),
        () => client.received(),
      );
      client.send(NEXT);
      await within(
        client.until((text) => text.endsWith("GET /next")),
        () => client.received(),
      );
      client.reset();
      return client.received();
    });
    expect(statuses.filter((status) => status >= 200)).toEqual([200, 200]);
    expect(statuses.filter((status) => status === 100).length).toBeLessThanOrEqual(1);
    expect(requests.map(({ target, text }) => [target, text])).toEqual([
      ["/x", "hello"],
      ["/next", ""],
    ]);
    expect(requests[0]?.header("expect")).toBeNull();
  });
});
