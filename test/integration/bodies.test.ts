/**
 * Bodies and what frames them, through the compiled binary: answers without a body, lengths, encodings, ranges,
 * trailers, and which requests keep theirs.
 */
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { brotliCompressSync } from "node:zlib";
import { type FakeReply, startFakeBackend } from "../_support/fake-backend.ts";
import { type ParsedResponse, parseResponse } from "../_support/parsed-response.ts";
import type { Proxy } from "../_support/proxy.ts";
import { connectRaw, exchangeRaw, type RawConnection } from "../_support/raw-client.ts";
import { useSharedProxy } from "../_support/shared-proxy.ts";

const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n\r\n";
/** More than comes in one piece. */
const BUFFER_BYTES = 256 * 1024;

const backend = startFakeBackend();
let proxy: Proxy;

useSharedProxy(backend, {}, (started) => {
  proxy = started;
});

/** Answers what is scripted here, and everything under `/canary` with its own path. */
function answer(reply: FakeReply): void {
  backend.handler = ({ target }) => (target.startsWith("/canary") ? { body: target } : reply);
}

/** One request on a connection that is kept, and its answer as far as its own framing says. */
async function ask(
  client: RawConnection,
  method: string,
  target = "/",
  fields = "",
  body: string | Uint8Array = "",
): Promise<ParsedResponse> {
  const from = client.received().length;
  client.send(`${method} ${target} HTTP/1.1\r\nHost: shop.example\r\n${fields}\r\n`);
  if (body.length > 0) client.send(body);
  const parse = (text: string) => parseResponse([text.slice(from)], { method, thenEnd: false });
  const text = await client.until((text) => {
    const { complete, refused } = parse(text);
    return complete || refused !== null;
  });
  return parse(text);
}

/** What comes next on the same connections is whole and its own. */
async function expectInStep(client: RawConnection): Promise<void> {
  const target = `/canary/${crypto.randomUUID()}`;
  expect(await ask(client, "GET", target)).toMatchObject({
    body: target,
    complete: true,
    overrun: false,
  });
}

function header(response: ParsedResponse, name: string): string | null {
  const values = response.head?.headers.filter(([known]) => known.toLowerCase() === name) ?? [];
  expect(values.length).toBeLessThan(2);
  return values[0]?.[1] ?? null;
}

/** The backend's connection on which the request before last came, and the last. */
function lastConnections(): (number | undefined)[] {
  return backend.requests.slice(-2).map(({ connection }) => connection);
}

describe("an answer to HEAD", () => {
  test.each([
    ["with a length", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", 200, "1000"],
    ["with a large length", "HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n", 200, "9000000"],
    ["with no bytes", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "0"],
    ["in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, null],
    ["without framing", "HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n", 200, null],
    ["that is a 404", "HTTP/1.1 404 Not Found\r\nContent-Length: 1000\r\n\r\n", 404, "1000"],
  ])(
    "%s keeps its length, has no body, and both connections go on [E12]",
    async (_how, raw, status, length) => {
      answer({ raw: [raw] });
      const client = await connectRaw(proxy.port);
      const response = await ask(client, "HEAD");
      expect(response).toMatchObject({ complete: true, overrun: false, body: "" });
      expect(response.head?.status).toBe(status);
      expect(header(response, "content-length")).toBe(length);
      await expectInStep(client);
      expect(new Set(lastConnections()).size).toBe(1);
      client.end();
    },
  );

  test("with a body all the same: none of it reaches a client, and its connection is closed [E12]", async () => {
    answer({ raw: ["HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"] });
    const client = await connectRaw(proxy.port);
    expect(await ask(client, "HEAD")).toMatchObject({ complete: true, overrun: false });
    await expectInStep(client);
    expect(client.received()).not.toContain("poison");
    expect(new Set(lastConnections()).size).toBe(2);
    client.end();
  });
});

describe("an answer whose status has no body", () => {
  const framings = [
    ["no framing", "", ""],
    ["a length that is not there", "Content-Length: 6\r\n", ""],
    ["a length and a body", "Content-Length: 6\r\n", "poison"],
    ["no framing and a body", "", "poison"],
    ["a body in chunks", "Transfer-Encoding: chunked\r\n", "6\r\npoison\r\n0\r\n\r\n"],
  ] as const;
  test.each(
    ([204, 304] as const).flatMap((status) =>
      framings.map(([what, fields, body]) => [status, what, fields, body] as const),
    ),
  )("%d, with %s: no body and nothing out of step [E13]", async (status, _what, fields, body) => {
    answer({ raw: [`HTTP/1.1 ${status} X\r\nETag: "a"\r\n${fields}\r\n${body}`] });
    const client = await connectRaw(proxy.port);
    const response = await ask(client, "GET");
    expect(response).toMatchObject({ complete: true, overrun: false, body: "" });
    expect(response.head?.status).toBe(status);
    expect(header(response, "etag")).toBe('"a"');
    expect(header(response, "transfer-encoding")).toBeNull();
    const kept = status === 304 && fields.startsWith("Content-Length");
    expect(header(response, "content-length")).toBe(kept ? "6" : null);
    await expectInStep(client);
    expect(client.received()).not.toContain("poison");
    // Bytes that belong to nothing cost the connection; otherwise it is used again.
    expect(new Set(lastConnections()).size).toBe(body === "" ? 1 : 2);
    client.end();
  });

  test.each([
    ["no bytes", "Content-Length: 0\r\n", "", "keep"],
    ["no bytes in chunks", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n", "keep"],
    ["a body", "Content-Length: 6\r\n", "poison", "keep"],
    ["a large body", "Content-Length: 600000\r\n", "poison".repeat(100_000), "keep"],
    ["a body in chunks", "Transfer-Encoding: chunked\r\n", "6\r\npoison\r\n0\r\n\r\n", "keep"],
    ["a body up to the end", "", "poison", "fin"],
  ] as const)("205, with %s: no body [E13]", async (_what, fields, body, afterwards) => {
    answer({ raw: [`HTTP/1.1 205 X\r\n${fields}\r\n${body}`], afterwards });
    const client = await connectRaw(proxy.port);
    const response = await ask(client, "GET");
    expect(response).toMatchObject({ complete: true, overrun: false, body: "" });
    expect(response.head?.status).toBe(205);
    expect(header(response, "content-length")).toBe("0");
    await expectInStep(client);
    expect(client.received()).not.toContain("poison");
    client.end();
  });

  test("103, with a length: the final answer is not framed by it [E13]", async () => {
    answer({
      raw: [
        "HTTP/1.1 103 X\r\nContent-Length: 6\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
      ],
    });
    const client = await connectRaw(proxy.port);
    const response = await ask(client, "GET");
    expect(response).toMatchObject({ complete: true, overrun: false, body: "ok" });
    await expectInStep(client);
    expect(new Set(lastConnections()).size).toBe(1);
    client.end();
  });

  test("103, with a body: 502, and none of it reaches a client [E13]", async () => {
    answer({
      raw: [
        "HTTP/1.1 103 X\r\nContent-Length: 6\r\n\r\npoisonHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
      ],
    });
    const client = await connectRaw(proxy.port);
    expect((await ask(client, "GET")).head?.status).toBe(502);
    await expectInStep(client);
    expect(client.received()).not.toContain("poison");
    client.end();
  });
});

describe("the end of an answer", () => {
  test("of no bytes keeps its Content-Length: 0, and both connections go on [E14]", async () => {
    answer({ raw: ["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"] });
    const client = await connectRaw(proxy.port);
    const response = await ask(client, "GET");
    expect(response).toMatchObject({ complete: true, overrun: false, body: "" });
    expect(header(response, "content-length")).toBe("0");
    await expectInStep(client);
    expect(new Set(lastConnections()).size).toBe(1);
    client.end();
  });

  test("without length and chunks comes when the backend closes, not before [E14]", async () => {
    backend.handler = async ({ target }, wire) => {
      if (target.startsWith("/canary")) return { body: target };
      await wire.write("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\nfirst ");
      await seenFirst.promise;
      await wire.write("and last");
      wire.fin();
      return undefined;
    };
    const seenFirst = Promise.withResolvers<void>();
    const client = await connectRaw(proxy.port);
    const asked = ask(client, "GET");
    const begun = await client.until((text) => text.includes("first "));
    expect(parseResponse([begun], { thenEnd: false }).complete).toBeFalse();
    seenFirst.resolve();
    expect(await asked).toMatchObject({ complete: true, overrun: false, body: "first and last" });
    await expectInStep(client);
    expect(new Set(lastConnections()).size).toBe(2);
    client.end();
  });

  test.each([1, 1000, 16_384, 65_537, BUFFER_BYTES, 4 * BUFFER_BYTES + 1])(
    "of %d bytes keeps its Content-Length [E15]",
    async (length) => {
      const body = "0123456789abcdef".repeat(length / 16 + 1).slice(0, length);
      answer({ body });
      const client = await connectRaw(proxy.port);
      const response = await ask(client, "GET");
      expect(response).toMatchObject({ complete: true, overrun: false, body });
      expect(header(response, "content-length")).toBe(String(length));
      expect(header(response, "transfer-encoding")).toBeNull();
      client.end();
    },
  );

  test("that comes in pieces keeps its Content-Length, too, and the connection [E15]", async () => {
    const seen = Promise.withResolvers<void>();
    backend.handler = async ({ target }, wire) => {
      if (target.startsWith("/canary")) return { body: target };
      await wire.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
      await seen.promise;
      await wire.write("cd");
      return undefined;
    };
    const client = await connectRaw(proxy.port);
    const asked = ask(client, "GET");
    await client.until((text) => text.endsWith("\r\n\r\nab"));
    seen.resolve();
    const response = await asked;
    expect(response).toMatchObject({ complete: true, overrun: false, body: "abcd" });
    expect(header(response, "content-length")).toBe("4");
    expect(header(response, "transfer-encoding")).toBeNull();
    await expectInStep(client);
    client.end();
  });

  test("in chunks of which more is to come is chunked for the client too [E15]", async () => {
    backend.handler = async (_request, wire) => {
      await wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
      await seen.promise;
      await wire.write("2\r\ncd\r\n0\r\n\r\n");
    };
    const seen = Promise.withResolvers<void>();
    const client = await connectRaw(proxy.port);
    const asked = ask(client, "GET");
    await client.until((text) => text.includes("ab"));
    seen.resolve();
    const response = await asked;
    expect(response).toMatchObject({ complete: true, overrun: false, body: "abcd" });
    expect(header(response, "transfer-encoding")).toBe("chunked");
    client.end();
  });
});

describe("an encoded body", () => {
  const digest = (i: number) => createHash("sha256").update(String(i)).digest();
  const plain = {
    small: Buffer.from(Array.from({ length: 1000 }, (_, i) => `line ${i * i} of it\n`).join("")),
    // Of no pattern, so that it is beyond body.buffer when it is encoded as well.
    large: Buffer.concat(Array.from({ length: 10_000 }, (_, i) => digest(i))),
  };
  const encoders = {
    gzip: (bytes: Buffer) => Buffer.from(Bun.gzipSync(bytes as Uint8Array<ArrayBuffer>)),
    br: (bytes: Buffer) => brotliCompressSync(bytes),
    zstd: (bytes: Buffer) => Bun.zstdCompressSync(bytes),
  };

  test.each(
    (["gzip", "br", "zstd"] as const).flatMap((coding) => [
      [coding, "small", ""] as const,
      [coding, "small", "Accept-Encoding: identity\r\n"] as const,
      [coding, "small", `Accept-Encoding: ${coding}\r\n`] as const,
      [coding, "large", `Accept-Encoding: ${coding}\r\n`] as const,
    ]),
  )("(%s, %s, %j) is passed on byte for byte [E16]", async (coding, size, fields) => {
    const body = encoders[coding](plain[size]);
    expect(body.length > BUFFER_BYTES).toBe(size === "large");
    const headers = [
      ["Content-Encoding", coding],
      ["Content-Type", "text/plain"],
      ["ETag", '"strong"'],
    ] as const;
    for (const chunked of [false, true]) {
      answer({ headers, body, chunked });
      const client = await connectRaw(proxy.port);
      const response = await ask(client, "GET", "/", fields);
      expect(Buffer.from(response.body, "latin1").equals(body)).toBeTrue();
      for (const [name, value] of headers) {
        expect(header(response, name.toLowerCase())).toBe(value);
      }
      expect(header(response, "vary")).toBeNull();
      if (size === "small" && !chunked) {
        expect(header(response, "content-length")).toBe(String(body.length));
      }
      client.end();
    }
  });

  test.each(["gzip", "br", "zstd"] as const)(
    "(%s) of a request is passed on byte for byte, too [E16]",
    async (coding) => {
      const body = encoders[coding](plain.small);
      answer({ body: "taken" });
      const client = await connectRaw(proxy.port);
      const fields = `Content-Encoding: ${coding}\r\nContent-Length: ${body.length}\r\n`;
      await ask(client, "POST", "/", fields, body);
      const request = backend.requests.at(-1);
      expect(request?.body.equals(body)).toBeTrue();
      expect(request?.header("content-encoding")).toBe(coding);
      expect(request?.header("content-length")).toBe(String(body.length));
      client.end();
    },
  );

  test.each(["", "Accept-Encoding: \r\n", "Accept-Encoding: br;q=1.0, *;q=0\r\n"])(
    "is asked for only as the client did (%j) [E17]",
    async (fields) => {
      answer({ body: "as it is" });
      const client = await connectRaw(proxy.port);
      await ask(client, "GET", "/", fields);
      const sent = /: (.*)\r\n/.exec(fields)?.[1] ?? null;
      expect(backend.requests.at(-1)?.header("accept-encoding")).toBe(sent);
      client.end();
    },
  );
});

describe("a range", () => {
  const parts =
    "--SEP\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n--SEP\r\nContent-Type: text/plain\r\nContent-Range: bytes 8-9/10\r\n\r\n89\r\n--SEP--\r\n";
  const cases: [string, string, FakeReply & { body: string }][] = [
    [
      "one part",
      "Range: bytes=2-5\r\n",
      {
        status: 206,
        headers: [
          ["Content-Range", "bytes 2-5/10"],
          ["Accept-Ranges", "bytes"],
          ["ETag", '"v1"'],
        ],
        body: "2345",
      },
    ],
    [
      "several parts",
      "Range: bytes=0-1, -2\r\n",
      {
        status: 206,
        headers: [["Content-Type", "multipart/byteranges; boundary=SEP"]],
        body: parts,
      },
    ],
    [
      "none that can be had",
      "Range: bytes=20-30\r\n",
      { status: 416, headers: [["Content-Range", "bytes */10"]], body: "no such range" },
    ],
    [
      "one if nothing has changed",
      'Range: bytes=2-5\r\nIf-Range: "v0"\r\n',
      { status: 200, headers: [["ETag", '"v1"']], body: "0123456789" },
    ],
    [
      "one in a form that nobody knows",
      "Range: lines=1-2\r\nIf-Range: Wed, 21 Oct 2015 07:28:00 GMT\r\n",
      { status: 200, body: "0123456789" },
    ],
  ];
  test.each(cases)(
    "(%s) is asked for and answered untouched [E18]",
    async (_what, fields, reply) => {
      answer(reply);
      for (const method of ["GET", "HEAD"]) {
        const client = await connectRaw(proxy.port);
        const response = await ask(client, method, "/", fields);
        const request = backend.requests.at(-1);
        for (const [, name = "", value = ""] of fields.matchAll(/(.+?): (.*)\r\n/g)) {
          expect(request?.header(name)).toBe(value);
        }
        expect(response.head?.status).toBe(reply.status as number);
        for (const [name, value] of reply.headers ?? []) {
          expect(header(response, name.toLowerCase())).toBe(value);
        }
        expect(header(response, "content-length")).toBe(String(reply.body.length));
        expect(response).toMatchObject({
          complete: true,
          overrun: false,
          body: method === "HEAD" ? "" : reply.body,
        });
        await expectInStep(client);
        client.end();
      }
    },
  );
});

describe("trailers of an answer", () => {
  const large = "x".repeat(BUFFER_BYTES + 1);
  test.each([
    ["announced", "Trailer: X-Checksum\r\n", "abc", "X-Checksum: 1\r\n"],
    ["unannounced", "", "abc", "X-Checksum: 1\r\nX-Other: 2\r\n"],
    ["announced but missing", "Trailer: X-Checksum\r\n", "abc", ""],
    ["after a body that is streamed", "", large, "X-Checksum: 1\r\n"],
    ["after no body", "", "", "X-Checksum: 1\r\n"],
    [
      "that would frame, route or identify",
      "",
      "abc",
      "Content-Length: 900\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a=1\r\nHost: evil\r\nX-Checksum: 1\r\n",
    ],
  ])("(%s) are dropped, and the body is whole [E19]", async (_what, fields, body, trailers) => {
    const size = body === "" ? "" : `${body.length.toString(16)}\r\n${body}\r\n`;
    answer({
      raw: [
        `HTTP/1.1 200 OK\r\n${fields}Transfer-Encoding: chunked\r\n\r\n${size}0\r\n${trailers}\r\n`,
      ],
    });
    const client = await connectRaw(proxy.port);
    const response = await ask(client, "GET");
    expect(response).toMatchObject({ complete: true, overrun: false, body });
    expect(client.received()).not.toMatch(/x-checksum|trailer|set-cookie|evil/i);
    await expectInStep(client);
    expect(new Set(lastConnections()).size).toBe(1);
    client.end();
  });
});

describe("a request", () => {
  test.each([
    ["DELETE with a body", "DELETE", "Content-Length: 5\r\n", "hello", "5", null, "hello"],
    ["OPTIONS with a body", "OPTIONS", "Content-Length: 5\r\n", "hello", "5", null, "hello"],
    [
      "DELETE with a chunked body",
      "DELETE",
      "Transfer-Encoding: chunked\r\n",
      "5\r\nhello\r\n0\r\n\r\n",
      null,
      "chunked",
      "hello",
    ],
    ["POST without framing", "POST", "", "", null, null, ""],
    ["DELETE without framing", "DELETE", "", "", null, null, ""],
    ["POST of no bytes", "POST", "Content-Length: 0\r\n", "", "0", null, ""],
    ["GET of no bytes", "GET", "Content-Length: 0\r\n", "", "0", null, ""],
    [
      "POST of no chunks",
      "POST",
      "Transfer-Encoding: chunked\r\n",
      "0\r\n\r\n",
      null,
      "chunked",
      "",
    ],
    ["PUT of no chunks", "PUT", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n", null, "chunked", ""],
  ] as const)(
    "(%s) reaches the backend with the same body and framing",
    async (_what, method, fields, body, length, coding, text) => {
      answer({ body: "got it" });
      const client = await connectRaw(proxy.port);
      const response = await ask(client, method, "/", fields, body);
      expect(response.head?.status).toBe(200);
      const request = backend.requests.at(-1);
      expect(request).toMatchObject({ method, complete: true, text });
      expect(request?.header("content-length")).toBe(length);
      expect(request?.header("transfer-encoding")).toBe(coding);
      await expectInStep(client);
      client.end();
    },
  );

  test.each([
    ["GET", "Content-Length: 5\r\n", "hello", "hello"],
    ["HEAD", "Content-Length: 5\r\n", "hello", "hello"],
    ["GET", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello"],
    ["GET", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n", ""],
    ["GET", `Content-Length: ${SMUGGLED.length}\r\n`, SMUGGLED, SMUGGLED],
  ])(
    "(%s with %j) is forwarded with its body, as it is [E22]",
    async (method, fields, body, text) => {
      answer({ body: "reached" });
      const seen = backend.requests.length;
      const received = await exchangeRaw(
        proxy.port,
        `${method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${fields}\r\n${body}`,
      );
      expect(received).toStartWith("HTTP/1.1 200 ");
      expect(received.match(/HTTP\/1\.1 /g)).toHaveLength(1);
      expect(backend.requests.slice(seen)).toMatchObject([{ method, text, complete: true }]);
    },
  );
});
