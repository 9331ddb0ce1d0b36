/**
 * Fields of one connection end there, in both directions, and the two connections of a request live
 * independent lives; everything else crosses byte for byte. Through the compiled binary.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { BUILD_TIMEOUT_MS } from "../_support/binary.ts";
import { type FakeBackend, type FakeRequest, startFakeBackend } from "../_support/fake-backend.ts";
import { type Proxy, startProxy } from "../_support/proxy.ts";
import { connectRaw, exchangeRaw } from "../_support/raw-client.ts";

let backend: FakeBackend;
let proxy: Proxy;

beforeAll(async () => {
  backend = startFakeBackend();
  proxy = await startProxy({
    config: {
      pools: { web: { backends: [backend.url], health: false, ejection: false } },
      workers: 1,
    },
  });
}, BUILD_TIMEOUT_MS);

afterAll(async () => {
  expect(await proxy.stop()).toBe(0);
  expect(backend.refused).toEqual([]);
  backend.stop();
});

/** What the backend sees of a GET with these lines, the last of which ends the client's connection. */
async function forwarded(...lines: string[]): Promise<FakeRequest> {
  backend.handler = () => "ok";
  const before = backend.requests.length;
  const head = ["GET / HTTP/1.1", "Host: shop.example", ...lines, "Connection: close"].join("\r\n");
  expect(await exchangeRaw(proxy.port, `${head}\r\n\r\n`)).toStartWith("HTTP/1.1 200 ");
  const request = backend.requests[before];
  if (request === undefined) throw new Error("the backend saw nothing");
  return request;
}

/** The fields that a client on a connection that stays gets of an answer with these lines. */
async function answered(...lines: string[]): Promise<[name: string, value: string][]> {
  const head = ["HTTP/1.1 200 OK", ...lines, "Content-Length: 3"].join("\r\n");
  backend.handler = () => ({ raw: [`${head}\r\n\r\nend`] });
  const client = await connectRaw(proxy.port);
  client.send("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
  const received = await client.until((text) => /\r\n\r\n(end|\{.*\}\n)$/.test(text));
  client.end();
  expect(received).toEndWith("\r\n\r\nend");
  return fieldsOf(received);
}

function fieldsOf(received: string): [name: string, value: string][] {
  const [head = ""] = received.split("\r\n\r\n");
  const lines = head.split("\r\n").slice(1);
  return lines.map((line) => {
    const colon = line.indexOf(": ");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 2)];
  });
}

/** Lower-case names, in order. */
function namesOf(fields: readonly (readonly [name: string, value: string])[]): string[] {
  return fields.map(([name]) => name.toLowerCase());
}

/** What every request to a backend has, whatever the client sent. */
const OURS = [
  "host",
  "via",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-proto",
  "x-request-id",
];
/** And every answer to a client. */
const FRAMING = ["content-length", "date"];

describe("what Connection names is left out", () => {
  test("of a request, and Connection itself [C01]", async () => {
    const request = await forwarded("X-A: 1", "X-B: 2", "Connection: close, X-A");
    expect(namesOf(request.headers).toSorted()).toEqual([...OURS, "x-b"].toSorted());
  });

  test("of an answer, and Connection itself [C01]", async () => {
    const fields = await answered("X-A: 1", "Connection: close, X-A", "X-B: 2");
    expect(namesOf(fields).toSorted()).toEqual([...FRAMING, "x-b"].toSorted());
  });

  const spellings: [string, string[]][] = [
    ["three lines", ["Connection: X-A", "Connection: close", "Connection: X-B"]],
    ["odd case", ["cOnNeCtIoN: x-a, X-b"]],
    ["empty lines and items", ["Connection:", "Connection: ,", "Connection: ,, X-A,,X-B ,"]],
    ["spaces and tabs", ["Connection: \t X-A \t,\t  X-B   "]],
  ];

  test.each(spellings)("of a request, also when it comes with %s [C02]", async (_how, lines) => {
    const request = await forwarded("X-A: 1", "x-b: 2", "X-C: 3", ...lines);
    expect(namesOf(request.headers).toSorted()).toEqual([...OURS, "x-c"].toSorted());
  });

  test.each(spellings)("of an answer, also when it comes with %s [C02]", async (_how, lines) => {
    const fields = await answered("X-A: 1", "x-b: 2", "X-C: 3", ...lines);
    expect(namesOf(fields).toSorted()).toEqual([...FRAMING, "x-c"].toSorted());
  });

  test("even credentials, but never what we say of the client, Host or Via [C03]", async () => {
    const request = await forwarded(
      "Authorization: Basic eDp5",
      "Cookie: a=1",
      "X-Forwarded-For: 1.2.3.4",
      "Via: 1.1 outer",
      "Connection: X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, X-Forwarded-Port",
      "Connection: Host, Via, X-Request-Id, Authorization, Cookie",
    );
    expect(namesOf(request.headers).toSorted()).toEqual(OURS);
    expect(request.header("host")).toBe("shop.example");
    expect(request.header("x-forwarded-for")).toBe("127.0.0.1");
    expect(request.header("x-forwarded-host")).toBe("shop.example");
    expect(request.header("x-forwarded-proto")).toBe("http");
    expect(request.header("x-forwarded-port")).toBe(String(proxy.port));
    expect(request.header("via")).toStartWith("1.1 outer, 1.1 leastwise-");
  });
});

describe("a field of one connection is left out though Connection does not name it", () => {
  test.each([
    "Keep-Alive: timeout=5, max=100",
    "Proxy-Connection: keep-alive",
    "TE: gzip",
    "TE: trailers",
    "TE: trailers, deflate;q=0.5",
    "Trailer: X-T",
    "Upgrade: h2c",
    "Proxy-Authorization: Basic eDp5",
    "Proxy-Authenticate: Basic",
    "Proxy-Authentication-Info: a=1",
  ])("of a request: %s [C04]", async (line) => {
    const request = await forwarded(line, "X-Kept: yes");
    expect(namesOf(request.headers).toSorted()).toEqual([...OURS, "x-kept"].toSorted());
  });

  test.each([
    "Connection: X-B\r\nX-B: 1",
    "Keep-Alive: timeout=5",
    "Proxy-Connection: keep-alive",
    "Proxy-Authenticate: Basic",
    "Proxy-Authentication-Info: a=1",
    "Proxy-Authorization: Basic eDp5",
    "Upgrade: websocket",
    "Connection: Upgrade\r\nUpgrade: h2c",
    "Trailer: X-T",
    "TE: trailers",
  ])("of an answer: %s [C05]", async (line) => {
    const fields = await answered(line, "X-Kept: yes");
    expect(namesOf(fields).toSorted()).toEqual([...FRAMING, "x-kept"].toSorted());
  });

  test("while Proxy-Status, which is for the client, stays [C05]", async () => {
    const fields = await answered("Proxy-Status: inner; error=dns_timeout");
    expect(fields).toContainEqual(["proxy-status", "inner; error=dns_timeout"]);
  });
});

test("no answer is a 101: who asks for an upgrade gets 501, and no backend is asked [not C06]", async () => {
  const before = backend.requests.length;
  const received = await exchangeRaw(
    proxy.port,
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade, X-Extra\r\nX-Extra: 1\r\n\r\n",
  );
  expect(received).toStartWith("HTTP/1.1 501 ");
  expect(received).toContain('"code":"upgrade_not_supported"');
  expect(namesOf(fieldsOf(received))).not.toContain("upgrade");
  expect(backend.requests.length).toBe(before);
});

describe("Connection: close ends one connection and not the other", () => {
  test.each(["close", "CLOSE", "X-A, close", "close\r\nConnection: keep-alive"])(
    "%j of the client, who is told so, leaves the backend's open [C07]",
    async (value) => {
      backend.handler = () => "ok";
      await forwarded();
      const { connections } = backend;
      for (let i = 0; i < 3; i++) {
        const received = await exchangeRaw(
          proxy.port,
          `GET / HTTP/1.1\r\nHost: a\r\nConnection: ${value}\r\n\r\n`,
        );
        expect(fieldsOf(received)).toContainEqual(["connection", "close"]);
        expect(received).toEndWith("\r\n\r\nok");
      }
      expect(backend.connections).toBe(connections);
    },
  );

  test("an answer of our own says so, too [C07]", async () => {
    const via = (await forwarded()).header("via");
    const received = await exchangeRaw(
      proxy.port,
      `GET / HTTP/1.1\r\nHost: a\r\nVia: ${via}, ${via}, ${via}\r\nConnection: close\r\n\r\n`,
    );
    expect(received).toStartWith("HTTP/1.1 508 ");
    expect(received.match(/^connection: close\r$/gim)).toHaveLength(1);
  });

  test("of the backend, whatever its status, leaves the client's open and is never reused [C08]", async () => {
    const statuses = [200, 204, 304, 404, 429, 500, 501, 503];
    const values = ["close", "CLOSE", "X-A, close", "close\r\nConnection: keep-alive"];
    let answer = "";
    // It stays open on this side: whoever ignored the field could use it again.
    backend.handler = () => ({ raw: [answer] });
    const client = await connectRaw(proxy.port);
    const used = new Set<number>();
    let sent = 0;
    for (const status of statuses) {
      for (const value of values) {
        sent++;
        const empty = status === 204 || status === 304;
        const rest = empty ? "\r\n" : "Content-Length: 2\r\n\r\nok";
        answer = `HTTP/1.1 ${status} Any\r\nX-Mark: ${sent};\r\nConnection: ${value}\r\n${rest}`;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        const received = await client.until(
          (text) => text.includes(`X-Mark: ${sent};`) && text.endsWith(empty ? "\r\n\r\n" : "ok"),
        );
        expect(received).not.toMatch(/^connection:/im);
        expect(received.match(/HTTP\/1\.1 /g)).toHaveLength(sent);
        used.add(backend.requests.at(-1)?.connection ?? -1);
      }
    }
    expect(used.size).toBe(sent);
    await backend.until(() => backend.openConnections === 0);
    client.end();
  });
});

describe("fields of one name", () => {
  test("that are Set-Cookie stay apart, in their order [C09]", async () => {
    const cookies = ["a=1; Expires=Sun, 06 Nov 1994 08:49:37 GMT", "b=2", "a=3; Path=/"];
    const fields = await answered(
      `Set-Cookie: ${cookies[0]}`,
      `set-cookie: ${cookies[1]}`,
      "X-Between: 1",
      `SET-COOKIE: ${cookies[2]}`,
    );
    expect(fields.filter(([name]) => name === "set-cookie").map(([, value]) => value)).toEqual(
      cookies,
    );
  });

  test("that are Cookie become one line that a server reads as the same [C09]", async () => {
    const request = await forwarded("Cookie: a=1", "X-Between: 1", "cookie: b=2, 3");
    expect(request.all("cookie")).toEqual(["a=1; b=2, 3"]);
  });

  test("that are empty stay, in both directions [C09]", async () => {
    const request = await forwarded("X-Empty:", "X-Blank: \t ");
    expect(request.all("x-empty")).toEqual([""]);
    expect(request.all("x-blank")).toEqual([""]);
    const fields = await answered("X-Empty:", "X-Blank: \t ");
    expect(fields).toContainEqual(["x-empty", ""]);
    expect(fields).toContainEqual(["x-blank", ""]);
  });

  test("stay as many lines as they are, in their order and case [C09]", async () => {
    const lines = ["X-M: a", "X-Other: 1", "x-m: b", "X-M: a, c", "X-M:"];
    const request = await forwarded(...lines);
    expect(request.rawHead.toString("latin1")).toContain(`\r\n${lines.join("\r\n")} \r\n`);
    const fields = await answered(...lines, "WWW-Authenticate: Basic", "WWW-Authenticate: Digest");
    const values = (name: string) =>
      fields.filter(([own]) => own === name).map(([, value]) => value);
    expect(values("x-m")).toEqual(["a", "b", "a, c", ""]);
    expect(values("www-authenticate")).toEqual(["Basic", "Digest"]);
  });
});

describe("a value crosses byte for byte", () => {
  const values: [string, string][] = [
    ["latin-1", "caf\xe9"],
    ["UTF-8", Buffer.from("café – 日本 🍌").toString("latin1")],
    [
      "every byte above ASCII",
      Buffer.from(Array.from({ length: 128 }, (_, at) => at + 128)).toString("latin1"),
    ],
    [
      "printable ASCII",
      Buffer.from(Array.from({ length: 94 }, (_, at) => at + 33)).toString("latin1"),
    ],
    ["no-break spaces at its ends", "\xa0\x85a\x85\xa0"],
    ["spaces and tabs inside", "a \t  b"],
  ];

  test.each(values)("to the backend: %s [C10]", async (_what, value) => {
    const request = await forwarded(`X-Bytes: ${value}`, `Cookie: a=${value}`);
    const wire = request.rawHead.toString("latin1");
    expect(wire).toContain(`\r\nX-Bytes: ${value}\r\n`);
    expect(wire).toContain(`\r\nCookie: a=${value}\r\n`);
  });

  test.each(values)("to the client: %s [C10]", async (_what, value) => {
    const fields = await answered(`X-Bytes: ${value}`, `Set-Cookie: a=${value}`);
    expect(fields).toContainEqual(["x-bytes", value]);
    expect(fields).toContainEqual(["set-cookie", `a=${value}`]);
  });
});
