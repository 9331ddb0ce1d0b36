/** What crosses the proxy, in both directions, through the compiled binary. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startDeadBackend } from "../_support/dead-backend.ts";
import { startFakeBackend } from "../_support/fake-backend.ts";
import { type Proxy, startProxy } from "../_support/proxy.ts";
import { connectRaw, exchangeRaw } from "../_support/raw-client.ts";
import { BUILD_TIMEOUT_MS } from "../_support/binary.ts";

const backend = startFakeBackend();
let proxy: Proxy;

beforeAll(async () => {
  proxy = await startProxy({
    config: {
      pools: { web: { backends: [backend.url], health: false } },
      workers: 1,
    },
  });
}, BUILD_TIMEOUT_MS);

afterAll(async () => {
  expect(await proxy.stop()).toBe(0);
  expect(backend.refused).toEqual([]);
  backend.stop();
});

const close = "Host: shop.example\r\nConnection: close\r\n\r\n";

describe("a request", () => {
  test("reaches the backend as it was sent, with forwarding fields and without hop-by-hop ones", async () => {
    backend.handler = () => "hi";
    const seen = backend.requests.length;
    await exchangeRaw(
      proxy.port,
      `GET /a//b?x=%zz;y HTTP/1.1\r\nX-Gone: 1\r\nX-Kept: caf\xe9\r\nConnection: x-gone\r\nX-Forwarded-For: 1.2.3.4\r\n${close}`,
    );
    const request = backend.requests[seen];
    expect(request?.target).toBe("/a//b?x=%zz;y");
    expect(request?.header("host")).toBe("shop.example");
    expect(request?.header("x-gone")).toBeNull();
    expect(request?.header("x-kept")).toBe("caf\xe9");
    expect(request?.header("x-forwarded-for")).toBe("127.0.0.1");
    expect(request?.header("x-forwarded-host")).toBe("shop.example");
    expect(request?.header("x-forwarded-proto")).toBe("http");
    expect(request?.header("via")).toMatch(/^1\.1 leastwise-[0-9a-f]{8}$/);
  });

  test("gets no field that the client did not send, but those of a proxy [D08]", async () => {
    const seen = backend.requests.length;
    await exchangeRaw(proxy.port, `GET / HTTP/1.1\r\n${close}`);
    await exchangeRaw(proxy.port, `POST / HTTP/1.1\r\nContent-Length: 2\r\n${close}hi`);
    await exchangeRaw(proxy.port, `PUT / HTTP/1.1\r\nContent-Length: 0\r\n${close}`);
    const [get, post, put] = backend.requests
      .slice(seen)
      .map(({ headers }) => headers.map(([name]) => name.toLowerCase()).toSorted());
    const ours = ["for", "host", "port", "proto"].map((name) => `x-forwarded-${name}`);
    const all = ["host", "via", ...ours, "x-request-id"];
    expect(get).toEqual(all);
    expect(post).toEqual(["content-length", ...all]);
    expect(put).toEqual(["content-length", ...all]);
  });

  test("keeps the User-Agent and Accept that it has, also empty ones [D08]", async () => {
    const seen = backend.requests.length;
    await exchangeRaw(
      proxy.port,
      `GET / HTTP/1.1\r\nUser-Agent: a/1 (b)\r\nAccept:\r\nAccept-Encoding: br;q=0\r\n${close}`,
    );
    const request = backend.requests[seen];
    expect(request?.header("user-agent")).toBe("a/1 (b)");
    expect(request?.header("accept")).toBe("");
    expect(request?.header("accept-encoding")).toBe("br;q=0");
  });

  test("with a body keeps its length or its chunks", async () => {
    const seen = backend.requests.length;
    await exchangeRaw(proxy.port, `POST / HTTP/1.1\r\nContent-Length: 5\r\n${close}hello`);
    await exchangeRaw(
      proxy.port,
      `DELETE / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${close}5\r\nhello\r\n0\r\n\r\n`,
    );
    const [withLength, chunked] = backend.requests.slice(seen);
    expect(withLength?.header("content-length")).toBe("5");
    expect(withLength?.text).toBe("hello");
    expect(chunked?.method).toBe("DELETE");
    expect(chunked?.header("transfer-encoding")).toBe("chunked");
    expect(chunked?.text).toBe("hello");
  });

  test.each([
    ["two Host fields", `GET / HTTP/1.1\r\nHost: a\r\n${close}`, 400, "bad_request"],
    [
      "a Host that is none",
      "GET / HTTP/1.1\r\nHost: a/b\r\nConnection: close\r\n\r\n",
      400,
      "bad_request",
    ],
    ["CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501, "method_not_supported"],
    [
      "an upgrade",
      "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
      501,
      "upgrade_not_supported",
    ],
  ])("with %s is refused, and the backend never sees it", async (_what, sent, status, code) => {
    const seen = backend.requests.length;
    const received = await exchangeRaw(proxy.port, sent);
    expect(received).toStartWith(`HTTP/1.1 ${status} `);
    expect(received).toContain(`"code":"${code}"`);
    expect(received.toLowerCase()).toContain("proxy-status: leastwise; error=");
    expect(backend.requests.length).toBe(seen);
  });

  test.each([
    ["HTTP/1.1", "Host: shop.example\r\n"],
    ["HTTP/1.1", "Host: a..b\r\n"],
    ["HTTP/1.1", "Host: 1.2.3.4.5\r\n"],
    ["HTTP/1.0", ""],
  ])("has its dot segments resolved in %s with %j", async (version, host) => {
    const seen = backend.requests.length;
    await exchangeRaw(
      proxy.port,
      `GET /public/../private?a=/../b HTTP/${version.slice(5)}\r\n${host}Connection: close\r\n\r\n`,
    );
    expect(backend.requests[seen]?.target).toBe("/private?a=/../b");
  });

  // U+010D and U+010A: cut to one byte each they would be CR and LF, and the rest a field or a request.
  test.each([
    ["HTTP/1.1", "Host: shop.example\r\n"],
    ["HTTP/1.1", "Host: 1.2.3.4.5\r\n"],
    ["HTTP/1.0", ""],
  ])("cannot break its line with UTF-8 in the path, in %s with %j", async (version, host) => {
    const seen = backend.requests.length;
    const received = await exchangeRaw(
      proxy.port,
      `GET /a\xc4\x8d\xc4\x8aInjected:x ${version}\r\n${host}Connection: close\r\n\r\n`,
    );
    expect(received).toStartWith("HTTP/1.1 400 ");
    expect(backend.requests).toHaveLength(seen);
  });

  test("is tried at no backend when nothing listens, and the client learns why", async () => {
    const dead = startDeadBackend();
    const alone = await startProxy({
      config: { pools: { web: { backends: [dead.url], health: false } }, workers: 1 },
    });
    const response = await fetch(`${alone.url}/`);
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ error: { code: "connect_refused" } });
    expect(response.headers.get("proxy-status")).toBe("leastwise; error=connection_refused");
    await alone.stop();
    dead.stop();
  });
});

describe("a response", () => {
  test("keeps status, order, repeats and bytes of its fields, without hop-by-hop ones", async () => {
    backend.handler = () => ({
      status: 418,
      headers: [
        ["Set-Cookie", "a=1"],
        ["Set-Cookie", "b=2"],
        ["X-Latin", "caf\xe9"],
        ["Connection", "X-Hop"],
        ["X-Hop", "1"],
        ["Keep-Alive", "timeout=5"],
      ],
      body: "short and stout",
    });
    const received = await exchangeRaw(proxy.port, `GET / HTTP/1.1\r\n${close}`);
    expect(received).toStartWith("HTTP/1.1 418 ");
    expect(received).toMatch(/set-cookie: a=1\r\nset-cookie: b=2\r\n/i);
    expect(received).toMatch(/x-latin: caf\xe9\r\n/i);
    expect(received).not.toMatch(/x-hop|keep-alive/i);
    expect(received).not.toMatch(/content-type/i);
    expect(received).toEndWith("\r\n\r\nshort and stout");
  });

  test("keeps its Content-Length, its reason phrase and the case of its fields", async () => {
    backend.handler = () => ({
      raw: ["HTTP/1.1 299 Well Known Here\r\nX-CaSe: 1\r\nContent-Length: 2\r\n\r\nok"],
    });
    const received = await exchangeRaw(proxy.port, `GET / HTTP/1.1\r\n${close}`);
    expect(received).toStartWith(
      "HTTP/1.1 299 Well Known Here\r\nX-CaSe: 1\r\nContent-Length: 2\r\n",
    );
  });

  test("with an empty Content-Type gets no second one", async () => {
    backend.handler = () => ({ headers: [["Content-Type", ""]], body: "x" });
    const received = await exchangeRaw(proxy.port, `GET / HTTP/1.1\r\n${close}`);
    expect(received.match(/content-type/gi)).toHaveLength(1);
  });

  test("to HEAD keeps the length of the body that is not there", async () => {
    backend.handler = () => ({ raw: ["HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"] });
    const received = await exchangeRaw(proxy.port, `HEAD / HTTP/1.1\r\n${close}`);
    expect(received).toMatch(/content-length: 1000\r\n/i);
    expect(received).toEndWith("\r\n\r\n");
  });

  test("to HEAD says no length when the backend did not", async () => {
    backend.handler = () => ({ raw: ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"] });
    const received = await exchangeRaw(proxy.port, `HEAD / HTTP/1.1\r\n${close}`);
    expect(received).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(received).not.toMatch(/content-length/i);
    expect(received).toEndWith("\r\n\r\n");
  });

  test.each([204, 304])("%d has no body", async (status) => {
    backend.handler = () => ({ raw: [`HTTP/1.1 ${status} X\r\nETag: "a"\r\n\r\n`] });
    const received = await exchangeRaw(proxy.port, `GET / HTTP/1.1\r\n${close}`);
    expect(received).toStartWith(`HTTP/1.1 ${status} `);
    expect(received).toMatch(/etag: "a"/i);
    expect(received).toEndWith("\r\n\r\n");
    expect(received).not.toMatch(/transfer-encoding/i);
  });

  test("that hints early is the final one", async () => {
    backend.handler = () => ({
      raw: [
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
      ],
    });
    const received = await exchangeRaw(proxy.port, `GET / HTTP/1.1\r\n${close}`);
    expect(received).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(received).toEndWith("\r\n\r\nok");
  });

  test.each([
    ["garbage", ["not http at all\r\n\r\n"]],
    ["two lengths", ["HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"]],
    [
      "length and chunks",
      [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
      ],
    ],
  ])("with %s is a 502", async (_what, raw) => {
    backend.handler = () => ({ raw });
    const response = await fetch(`${proxy.url}/`);
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ error: { code: "bad_response" } });
  });

  test("with bytes after its end never reaches another client", async () => {
    backend.handler = ({ target }) =>
      target === "/evil"
        ? {
            raw: [
              "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
            ],
          }
        : { body: target };
    expect(await (await fetch(`${proxy.url}/evil`)).text()).toBe("ok");
    for (let i = 0; i < 20; i++) {
      expect(await (await fetch(`${proxy.url}/canary-${i}`)).text()).toBe(`/canary-${i}`);
    }
  });
});

describe("truncation is visible to the client", () => {
  const cases: [string, string[]][] = [
    ["a short body", ["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"]],
    [
      "a long body cut",
      [`HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n${"x".repeat(500_000)}`],
    ],
    ["a chunk cut", ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nabc"]],
    ["a last chunk missing", ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"]],
    [
      "a last line missing",
      ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"],
    ],
    ["nothing of a body", ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]],
  ];
  test.each(
    cases.flatMap(([what, raw]) => [[what, "fin", raw] as const, [what, "reset", raw] as const]),
  )("%s, ended by a %s", async (_what, then, raw) => {
    backend.handler = () => ({ raw, afterwards: then });
    const connection = await connectRaw(proxy.port);
    connection.send(`GET / HTTP/1.1\r\n${close}`);
    const how = await connection.closed;
    const received = connection.received();
    // Either we could still say so, or the end is no proper end.
    const told = received.startsWith("HTTP/1.1 502 ");
    const broken = how === "reset" && !received.endsWith("0\r\n\r\n");
    expect(told || broken).toBeTrue();
  });

  test("a body that ends with the connection is whole", async () => {
    backend.handler = () => ({ raw: ["HTTP/1.1 200 OK\r\n\r\nall of it"], afterwards: "fin" });
    expect(await (await fetch(`${proxy.url}/`)).text()).toBe("all of it");
  });
});
