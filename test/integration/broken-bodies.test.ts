/**
 * Messages that break off, in both directions: nobody takes a part for the whole, the other side is told at once, and
 * the connection is not used again.
 */
import { describe, expect, test } from "bun:test";
import { type FakeRequest, type FakeWire, startFakeBackend } from "../_support/fake-backend.ts";
import { type ParsedResponse, parseResponse } from "../_support/parsed-response.ts";
import { isQuiet, type Proxy } from "../_support/proxy.ts";
import { connectRaw } from "../_support/raw-client.ts";
import { useSharedProxy } from "../_support/shared-proxy.ts";

const backend = startFakeBackend({ answerAt: "head" });
let proxy: Proxy;

useSharedProxy(backend, { ejection: false, retry: false }, (started) => {
  proxy = started;
});

const GET = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\n";

/** The books are closed, and another client gets its own answer over another connection than `before`'s. */
async function expectNothingLeft(before: FakeRequest | undefined): Promise<void> {
  await proxy.until("none in flight", isQuiet);
  backend.handler = ({ target }) => ({ body: target });
  const target = `/canary/${crypto.randomUUID()}`;
  expect(await (await fetch(`${proxy.url}${target}`)).text()).toBe(target);
  expect(backend.requests.at(-1)?.connection).not.toBe(before?.connection as number);
}

async function failures(): Promise<number> {
  return (await proxy.pools())[0]?.backends[0]?.failures ?? Number.NaN;
}

describe("a client that goes away while it uploads", () => {
  const uploads = [
    ["with its length", "Content-Length: 1000\r\n\r\nsome", 4],
    ["with nothing of its length", "Content-Length: 1000\r\n\r\n", 0],
    ["chunked, between two chunks", "Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n", 4],
    ["chunked, within a chunk", "Transfer-Encoding: chunked\r\n\r\nff\r\nsome", 4],
    ["chunked, within a chunk's size", "Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n1", 4],
  ] as const;
  test.each(
    uploads.flatMap(([what, upload, length]) => [
      [what, "FIN", upload, length] as const,
      [what, "reset", upload, length] as const,
    ]),
  )(
    "(%s, by a %s): its backend sees it break off, never a whole request, and is not blamed [E07]",
    async (_what, how, upload, length) => {
      backend.handler = () => null;
      const blamed = await failures();
      const seen = backend.requests.length;
      const client = await connectRaw(proxy.port);
      client.send(`POST / HTTP/1.1\r\nHost: a\r\n${upload}`);
      await backend.until(() => backend.requests[seen]?.bodyLength === length);
      if (how === "FIN") client.end();
      else client.reset();
      const request = backend.requests[seen];
      await backend.until(() => (request?.brokenOff ?? null) !== null);
      expect(request).toMatchObject({ complete: false, bodyLength: length });
      await expectNothingLeft(request);
      expect(await failures()).toBe(blamed);
    },
  );

  test("(after the last chunk's size, before the empty line): it is not whole, though nothing of it is missing [E07]", async () => {
    backend.handler = () => null;
    const seen = backend.requests.length;
    const client = await connectRaw(proxy.port);
    client.send(
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n0\r\n",
    );
    await backend.until(() => backend.requests[seen]?.text === "some");
    client.reset();
    await backend.until(() => backend.requests[seen]?.brokenOff !== null);
    expect(backend.requests[seen]?.complete).toBeFalse();
    await expectNothingLeft(backend.requests[seen]);
  });
});

describe("a client that goes away", () => {
  const moments: [string, (wire: FakeWire) => unknown, string][] = [
    ["before the answer", () => null, ""],
    ["after its head", (wire) => wire.write(`${OK}Content-Length: 900000\r\n\r\nhe`), "he"],
    [
      "in the middle of a streamed answer",
      (wire) => wire.write(`${OK}Transfer-Encoding: chunked\r\n\r\n6\r\nmiddle\r\n`),
      "middle",
    ],
    [
      "while it is sent more than it takes",
      (wire) => wire.write(`${OK}Content-Length: 90000000\r\n\r\n${"lots".repeat(10_000_000)}`),
      "lots",
    ],
  ];
  test.each(
    moments.flatMap(([when, write, until]) => [
      [when, "FIN", write, until] as const,
      [when, "reset", write, until] as const,
    ]),
  )(
    "(%s, by a %s) ends its backend's request and connection [E08]",
    async (_when, how, write, until) => {
      const closed = Promise.withResolvers<unknown>();
      backend.handler = (_request, wire) => {
        closed.resolve(wire.closed);
        void write(wire);
        return null;
      };
      const blamed = await failures();
      const seen = backend.requests.length;
      const client = await connectRaw(proxy.port);
      client.send(GET);
      await backend.seen(seen + 1);
      if (until !== "") await client.until((text) => text.includes(until));
      if (how === "FIN") client.end();
      else client.reset();
      expect(await closed.promise).toBeOneOf(["fin", "reset"]);
      await expectNothingLeft(backend.requests[seen]);
      expect(await failures()).toBe(blamed);
    },
  );
});

const ended = ["fin", "reset"] as const;

/** What a client got, and whether the connection's end was one. */
async function download(method = "GET"): Promise<ParsedResponse & { closed: "fin" | "reset" }> {
  const client = await connectRaw(proxy.port);
  client.send(GET.replace("GET", method));
  const closed = await client.closed;
  // A FIN would be the end of an answer that is framed by nothing else; a reset is none.
  return {
    ...parseResponse([client.received()], { method, thenEnd: closed === "fin" }),
    closed,
  };
}

describe("an answer that breaks off", () => {
  const large = "x".repeat(600_000);
  const inside: [string, string][] = [
    ["within its length", `${OK}Content-Length: 1000000\r\n\r\n${large}`],
    ["within a chunk", `${OK}Transfer-Encoding: chunked\r\n\r\nf4240\r\n${large}`],
    ["after a chunk", `${OK}Transfer-Encoding: chunked\r\n\r\n927c0\r\n${large}\r\n`],
    ["within its last line", `${OK}Transfer-Encoding: chunked\r\n\r\n927c0\r\n${large}\r\n0\r\n`],
    [
      "within its trailers",
      `${OK}Transfer-Encoding: chunked\r\n\r\n927c0\r\n${large}\r\n0\r\nX-T: 1\r\n`,
    ],
    ["within a chunk's size", `${OK}Transfer-Encoding: chunked\r\n\r\n927c0\r\n${large}\r\n1`],
  ];
  test.each(inside.flatMap(([what, raw]) => ended.map((how) => [what, how, raw] as const)))(
    "%s (%s) is broken for the client as well, after it has begun [E09]",
    async (_what, how, raw) => {
      const begun = Promise.withResolvers<void>();
      const blamed = await failures();
      backend.handler = async (_request, wire) => {
        await wire.write(raw);
        await begun.promise;
        if (how === "fin") wire.fin();
        else wire.reset();
      };
      const client = await connectRaw(proxy.port);
      client.send(GET);
      await client.until((text) => text.includes("xxx"));
      begun.resolve();
      const closed = await client.closed;
      const response = parseResponse([client.received()], { thenEnd: closed === "fin" });
      expect(response.head?.status).toBe(200);
      expect(response.complete).toBeFalse();
      await expectNothingLeft(backend.requests.at(-1));
      expect(await failures()).toBe(blamed + 1);
    },
  );

  test.each(
    [
      ["of a short length", `${OK}Content-Length: 10\r\n\r\nabc`],
      ["of short chunks", `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`],
    ].flatMap(([what = "", raw = ""]) => ended.map((how) => [what, how, raw] as const)),
  )("%s (%s), all at once, is broken or a 502 [E09]", async (_what, how, raw) => {
    backend.handler = () => ({ raw: [raw], afterwards: how });
    const response = await download();
    if (response.complete) expect(response.head?.status).toBe(502);
    expect(response.body).not.toBe("abc".padEnd(10));
    await expectNothingLeft(backend.requests.at(-1));
  });

  const before: [string, string][] = [
    ["of a length", `${OK}Content-Length: 10\r\n\r\n`],
    ["of a great length", `${OK}Content-Length: 1000000\r\n\r\n`],
    ["in chunks", `${OK}Transfer-Encoding: chunked\r\n\r\n`],
  ];
  test.each(
    before.flatMap(([what, raw]) =>
      ended.flatMap((how) => [
        [what, how, "at once", raw] as const,
        [what, how, "later", raw] as const,
      ]),
    ),
  )(
    "(%s, %s, %s) before its first byte is broken or a 502 [E10]",
    async (_what, how, when, raw) => {
      const reached = Promise.withResolvers<void>();
      backend.handler = async (_request, wire) => {
        await wire.write(raw);
        if (when === "later") await reached.promise;
        if (how === "fin") wire.fin();
        else wire.reset();
      };
      const client = await connectRaw(proxy.port);
      client.send(GET);
      if (when === "later") await client.until((text) => text.startsWith(OK));
      reached.resolve();
      const closed = await client.closed.then(
        (end) => end,
        () => "reset" as const,
      );
      const response = parseResponse([client.received()], { thenEnd: closed === "fin" });
      if (response.complete) expect(response.head?.status).toBe(502);
      await expectNothingLeft(backend.requests.at(-1));
    },
  );

  test.each([
    ["small", "all of it"],
    ["large", large],
  ])(
    "(%s) without a length is whole with a FIN and broken with a reset [E11]",
    async (_what, body) => {
      backend.handler = () => ({ raw: [`${OK}\r\n${body}`], afterwards: "fin" });
      const whole = await download();
      expect(whole).toMatchObject({ complete: true, overrun: false, body });
      await expectNothingLeft(backend.requests.at(-1));
      const begun = Promise.withResolvers<void>();
      backend.handler = async (_request, wire) => {
        await wire.write(`${OK}\r\n${body}`);
        await begun.promise;
        wire.reset();
      };
      const client = await connectRaw(proxy.port);
      client.send(GET);
      await client.until((text) => text.endsWith(`${body.slice(-5)}\r\n`));
      begun.resolve();
      const closed = await client.closed;
      const response = parseResponse([client.received()], { thenEnd: closed === "fin" });
      expect(response.head?.status).toBe(200);
      expect(response.complete).toBeFalse();
      await expectNothingLeft(backend.requests.at(-1));
    },
  );
});
