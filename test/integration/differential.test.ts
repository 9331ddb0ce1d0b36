/**
 * Random valid requests, once directly and once through the proxy (case I06): the backend sees the same request and
 * the client gets the same answer, but for what is listed here. The order of fields and the case of their names mean
 * nothing, and fields of one name are the same as one with all their values (RFC 9110, 5.1 to 5.3).
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { type FakeRequest, startFakeBackend } from "../_support/fake-backend.ts";
import { useHarness } from "../_support/harness.ts";
import { type ParsedResponse, parseResponse } from "../_support/parsed-response.ts";
import { connectRaw } from "../_support/raw-client.ts";

/** What concerns one connection only, framing included (RFC 9110, 7.6.1; RFC 9112, 6). */
const PER_CONNECTION = ["connection", "content-length", "keep-alive", "transfer-encoding"];
/** What the proxy says about itself and the client. */
const ADDED_TO_REQUEST = [
  "via",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-proto",
  "x-request-id",
];
/** Added where the backend sent none (RFC 9110, 6.6.1). */
const ADDED_TO_RESPONSE = "date";

type Field = readonly [name: string, value: string];

interface Sent {
  readonly method: string;
  readonly target: string;
  readonly fields: readonly Field[];
  readonly body: Buffer | null;
  readonly chunked: boolean;
}

const segment = fc.oneof(
  fc.stringMatching(/^[A-Za-z0-9_~!$&'()*+,;=:@-]{0,8}$/),
  fc.stringMatching(/^[a-z]{1,4}\.[a-z]{1,4}$/),
  fc.constantFrom("%20", "%2F", "%c3%a9", "%25", "a%00b", "%e2%82%AC"),
);
const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((all) => `/${all.join("/")}`);
/** Without `'`, which Bun's URL turns into `%27` in a query (WHATWG URL, special-query percent-encode set). */
const query = fc.oneof(
  fc.constant(""),
  fc.stringMatching(/^[A-Za-z0-9_~!$&()*+,;=:@/?.-]{0,20}$/).map((text) => `?${text}`),
  fc.constantFrom("?a=%26&b=%2b+", "?%F0%9F%8D%8C", "?a=1&a=2&a"),
);
const value = fc
  .stringMatching(/^(?:[\x21-\x7e\xa0-\xff](?:[\x20-\x7e\x80-\xff]{0,20}[\x21-\x7e\xa1-\xff])?)?$/)
  .filter((text) => !/^\s|\s$/.test(text));
const name = fc.oneof(
  fc.constantFrom("X-A", "x-b", "Accept", "User-Agent", "Authorization", "If-None-Match"),
  fc.stringMatching(/^[xX]-[A-Za-z0-9!#$%&'*+.^_`|~]{1,8}$/),
);
const fields = fc.array(fc.tuple(name, value), { maxLength: 8 });
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((all) => Buffer.from(all)),
  fc
    .integer({ min: 10_000, max: 100_000 })
    .map((length) => Buffer.alloc(length, "0123456789abcde")),
);

const request: fc.Arbitrary<Sent> = fc.oneof(
  fc.record({
    method: fc.constantFrom("GET", "HEAD", "OPTIONS", "DELETE"),
    target: fc.tuple(path, query).map((parts) => parts.join("")),
    fields,
    body: fc.constant(null),
    chunked: fc.constant(false),
  }),
  fc.record({
    method: fc.constantFrom("POST", "PUT", "PATCH", "DELETE"),
    target: fc.tuple(path, query).map((parts) => parts.join("")),
    fields,
    body: bytes,
    chunked: fc.boolean(),
  }),
);

const answer = fc.record({
  status: fc.constantFrom(
    200,
    201,
    203,
    204,
    206,
    301,
    304,
    400,
    401,
    404,
    418,
    422,
    500,
    503,
    599,
  ),
  headers: fc
    .tuple(
      fc.array(fc.tuple(fc.constantFrom("X-C", "x-d", "ETag", "Vary", "Link"), value), {
        maxLength: 6,
      }),
      fc.array(fc.constantFrom("a=1; Path=/", "b=2; Expires=Thu, 01 Jan 2026 00:00:00 GMT"), {
        maxLength: 3,
      }),
      fc.constantFrom<Field[]>([], [["Content-Type", "text/html"]], [["content-type", "a/b; c=d"]]),
      fc.constantFrom<Field[]>([], [["Date", "Sun, 06 Nov 1994 08:49:37 GMT"]]),
    )
    .map(([all, cookies, type, date]): Field[] => {
      return [...all, ...cookies.map((each): Field => ["Set-Cookie", each]), ...type, ...date];
    }),
  body: bytes,
  chunked: fc.boolean(),
});

const harness = useHarness();

test("through the proxy, a valid request and its answer are what they are directly", async () => {
  const backend = startFakeBackend();
  try {
    const proxy = await harness.proxy({
      config: {
        workers: 1,
        pools: { web: { backends: [backend.url], health: false, ejection: false } },
      },
    });
    await fc.assert(
      fc.asyncProperty(request, answer, async (sent, answer) => {
        backend.handler = () => answer;
        backend.requests.length = 0;
        const direct = await exchange(backend.port, sent);
        const proxied = await exchange(proxy.port, sent);
        expect(direct).toMatchObject({ complete: true, refused: null });
        expect(backend.refused).toEqual([]);
        expect(backend.requests).toHaveLength(2);
        const [seenDirectly, seenProxied] = backend.requests as [FakeRequest, FakeRequest];
        expect(requestOf(seenProxied, ADDED_TO_REQUEST)).toEqual(requestOf(seenDirectly, []));
        expect(seenProxied.header("via")).toMatch(/^1\.1 leastwise-[0-9a-f]{8}$/);
        const hasDate = "date" in responseOf(direct, []).fields;
        expect(responseOf(proxied, hasDate ? [] : [ADDED_TO_RESPONSE])).toEqual(
          responseOf(direct, []),
        );
      }),
      { numRuns: 150, seed: 20_261_122 },
    );
  } finally {
    backend.stop();
  }
});

async function exchange(port: number, sent: Sent): Promise<ParsedResponse> {
  const connection = await connectRaw(port);
  const { method, target, body } = sent;
  const head = [`${method} ${target} HTTP/1.1`, "Host: differential.test"];
  for (const [name, value] of sent.fields) head.push(`${name}: ${value}`);
  if (body !== null) {
    head.push(sent.chunked ? "Transfer-Encoding: chunked" : `Content-Length: ${body.length}`);
  }
  connection.send(`${head.join("\r\n")}\r\n\r\n`);
  if (body !== null) connection.send(sent.chunked ? chunked(body) : body);
  const parse = (text: string) => parseResponse([text], { method, thenEnd: false });
  // So that an answer without an end shows as what there was of it.
  const hang = setTimeout(() => connection.reset(), 5000);
  const received = await connection.until((text) => {
    const { complete, refused } = parse(text);
    return complete || refused !== null;
  });
  clearTimeout(hang);
  connection.end();
  return parse(received);
}

function chunked(body: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; at += 7000) {
    const piece = body.subarray(at, at + 7000);
    parts.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n"));
  }
  return Buffer.concat([...parts, Buffer.from("0\r\n\r\n")]);
}

function requestOf(seen: FakeRequest, without: readonly string[]) {
  const { method, target, version } = seen;
  const body = seen.body.toString("latin1");
  return { method, target, version, body, fields: combined(seen.headers, without) };
}

function responseOf(response: ParsedResponse, without: readonly string[]) {
  const { head, body, complete, overrun, refused } = response;
  const fields = combined(head?.headers ?? [], without);
  return { status: head?.status, body, complete, overrun, refused, fields };
}

/** Cookies are the exception: they are never joined (RFC 9110, 5.3). */
function combined(all: readonly Field[], without: readonly string[]) {
  const left = new Set([...PER_CONNECTION, ...without]);
  const values: Record<string, string[]> = {};
  for (const [name, value] of all) {
    if (!left.has(name.toLowerCase())) (values[name.toLowerCase()] ??= []).push(value);
  }
  return Object.fromEntries(
    Object.entries(values).map(([name, each]) => {
      return [name, name === "set-cookie" ? each : each.join(", ").trim()];
    }),
  );
}
