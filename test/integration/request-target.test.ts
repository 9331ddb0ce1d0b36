/** Request line and Host: which requests are refused, and which target and host the backend sees of the others. */
import { describe, expect, test } from "bun:test";
import { startFakeBackend } from "../_support/fake-backend.ts";
import { bodyOf, useRecordedFront } from "../_support/recorded-front.ts";

const front = useRecordedFront();

function request(line: string, fields = "Host: shop.example\r\n"): string {
  return `${line}\r\n${fields}\r\n`;
}

function get(target: string): string {
  return request(`GET ${target} HTTP/1.1`);
}

/** What the backend got of a request that has to arrive. */
async function arrived(bytes: string): Promise<{ method: string; target: string; host: string }> {
  const { requests, statuses } = await front.answered(bytes);
  expect(statuses).toEqual([200]);
  expect(requests).toHaveLength(1);
  const [{ method, target, ...rest }] = requests as [(typeof requests)[0]];
  return {
    method,
    target,
    host: rest.headers.find(([name]) => name.toLowerCase() === "host")?.[1] ?? "",
  };
}

describe("a request without Host", () => {
  test.each([
    request("GET / HTTP/1.1", ""),
    request("POST / HTTP/1.1", "Content-Length: 0\r\n"),
    request("GET http://shop.example/ HTTP/1.1", ""),
    request("GET / HTTP/1.1", "Connection: upgrade\r\nUpgrade: websocket\r\n"),
    request("GET / HTTP/1.1", "Connection: upgrade\r\nUpgrade: h2c\r\n"),
    request("CONNECT shop.example:80 HTTP/1.1", ""),
  ])("is refused in HTTP/1.1 (%j) [B01]", async (bytes) => {
    expect((await front.refused(bytes, 400)).requests).toEqual([]);
  });
});

describe("a Host", () => {
  test.each([
    "a.example\r\nHost: b.example",
    "a.example\r\nHost: a.example",
    "a.example\r\nX-Between: 1\r\nhost: a.example",
    "a.example\r\nHost:",
    "\r\nHost: a.example",
    "a.example, b.example",
    "a.example,a.example",
    "",
    "user@shop.example",
    "shop.example/path",
    "shop.example?q",
    "shop.example#f",
    "http://shop.example",
    "shop example",
    "shop.example:http",
    "shop.example:80:80",
    "shop.example:65536",
    "%73hop.example",
    "[::1",
    "[::1]x",
    "\xe9.example",
  ])("that is not exactly one host is refused (%j) [B02]", async (host) => {
    const bytes = request("GET / HTTP/1.1", `Host: ${host}\r\n`);
    expect((await front.refused(bytes, 400)).requests).toEqual([]);
  });

  test("is refused in HTTP/1.0, too, when there are two or it is empty [B02]", async () => {
    for (const host of ["Host: a\r\nHost: b\r\n", "Host:\r\n"]) {
      const { requests } = await front.refused(request("GET / HTTP/1.0", host), 400);
      expect(requests).toEqual([]);
    }
  });
});

describe("a target in absolute form", () => {
  test.each([
    ["http://shop.example/abs?q", "/abs?q"],
    ["HTTP://SHOP.EXAMPLE:80", "/"],
    ["http://shop.example#f", "/"],
    ["http://shop.example/?a#f", "/?a"],
    ["http://shop.example?q", "/?q"],
    ["https://shop.example/a/../b", "/b"],
    ["http://shop.example/http://b.example/x", "/http://b.example/x"],
  ])("of its own Host is that path of it: %s", async (target, path) => {
    expect(await arrived(get(target))).toEqual({
      method: "GET",
      target: path,
      host: "shop.example",
    });
  });

  test.each([
    "http://b.example/abs",
    "http://b.example:8080/abs",
    "http://user@b.example/abs",
    "http://shop.example@b.example/abs",
    "http://b.example\\@shop.example/abs",
    "http://[::1]:80/abs",
  ])(
    "of another host than Host is refused: nobody can tell which one was meant (%s) [B03]",
    async (target) => {
      expect((await front.refused(get(target), 400)).requests).toEqual([]);
    },
  );

  test("without a Host is refused in HTTP/1.0, too", async () => {
    const bytes = request("GET http://shop.example/ HTTP/1.0", "");
    expect((await front.refused(bytes, 400)).requests).toEqual([]);
  });

  test.each(["ftp://shop.example/", "ws://shop.example/", "http:/abs", "http:abs", "mailto:a@b"])(
    "of another kind is refused: %s",
    async (target) => {
      expect((await front.refused(get(target), 400)).requests).toEqual([]);
    },
  );
});

describe("a target that is no path", () => {
  test("is refused for OPTIONS, too: the server as a whole cannot be asked [not B04]", async () => {
    const bytes = request("OPTIONS * HTTP/1.1");
    expect((await front.refused(bytes, 400)).requests).toEqual([]);
    expect(await arrived(request("OPTIONS /any HTTP/1.1"))).toMatchObject({ method: "OPTIONS" });
  });

  test.each([
    "GET *",
    "POST *",
    "OPTIONS *x",
    "GET admin",
    "GET shop.example:80",
    "GET @evil.example/",
    "GET ?q",
    "GET #f",
    "GET \\\\evil.example",
  ])("is refused (%s) [B05]", async (line) => {
    expect((await front.refused(request(`${line} HTTP/1.1`), 400)).requests).toEqual([]);
  });

  test.each(["/", "shop.example:80", "http://shop.example/", "*"])(
    "is refused for CONNECT, as is any other (%s) [B05]",
    async (target) => {
      const bytes = request(`CONNECT ${target} HTTP/1.1`);
      expect((await front.refused(bytes, 400, 501)).requests).toEqual([]);
    },
  );
});

describe("a method", () => {
  test.each([
    "M-SEARCH",
    "PURGE",
    "PROPFIND",
    "REPORT",
    "QUERY",
    "LOCK",
    "MKCOL",
    "LINK",
    "SEARCH",
  ])("that is not usual reaches the backend as it was sent: %s", async (method) => {
    expect(await arrived(request(`${method} /m HTTP/1.1`))).toMatchObject({ method });
  });

  test.each(["get", "GeT", "post", "FOO", "GETT", "GE", "G-T", "X_1"])(
    "that the runtime does not know ends the connection, and is never made another (%s) [not B06]",
    async (method) => {
      const { requests, statuses } = await front.ended(request(`${method} /m HTTP/1.1`));
      expect(requests).toEqual([]);
      expect(statuses.filter((status) => status !== 400)).toEqual([]);
    },
  );

  test.each(["", "Max-Forwards: 0\r\n"])(
    "that is TRACE or TRACK is not forwarded, and shows no cookie (%j) [B10]",
    async (field) => {
      const fields = `Host: shop.example\r\nCookie: session=secret\r\n${field}`;
      const trace = await front.refused(request("TRACE / HTTP/1.1", fields), 405);
      expect(trace.requests).toEqual([]);
      expect(trace.received).not.toContain("secret");
      expect(trace.received).toMatch(/\r\nallow: GET, HEAD, /i);
      const track = await front.ended(request("TRACK / HTTP/1.1", fields));
      expect(track).toMatchObject({ requests: [], received: "" });
    },
  );

  test("that is OPTIONS goes as far as Max-Forwards allows [B10]", async () => {
    const options = (hops: string) =>
      request("OPTIONS /x HTTP/1.1", `Host: shop.example\r\nMax-Forwards: ${hops}\r\n`);
    for (const hops of ["0", "00"]) {
      const last = await front.answered(options(hops));
      expect(last).toMatchObject({ statuses: [204], requests: [] });
      expect(last.received).toMatch(/\r\nallow: GET, HEAD, .*OPTIONS\r\n/i);
    }
    for (const [hops, left] of [
      ["1", "0"],
      ["10", "9"],
      ["9".repeat(30), "255"],
      ["-1", "-1"],
      ["0, 1", "0, 1"],
    ] as const) {
      const { requests } = await front.answered(options(hops));
      expect(requests.map((each) => each.header("max-forwards"))).toEqual([left]);
    }
  });

  test("that is another than OPTIONS has no such limit [B10]", async () => {
    const { requests } = await front.answered(
      request("GET /x HTTP/1.1", "Host: shop.example\r\nMax-Forwards: 0\r\n"),
    );
    expect(requests.map((each) => each.header("max-forwards"))).toEqual(["0"]);
  });
});

describe("a path", () => {
  test.each([
    ["//evil/x", "//evil/x"],
    ["/a//b", "/a//b"],
    ["/a/./b", "/a/b"],
    ["/a/../b", "/b"],
    ["/../../b", "/b"],
    ["/%2e%2e/b", "/b"],
    ["/a/.%2E/b", "/b"],
    ["/..;/b", "/..;/b"],
    ["/a\\b", "/a/b"],
    ["/a\\..\\b", "/b"],
    ["/%00", "/%00"],
    ["/%0d%0a", "/%0d%0a"],
    ["/a%2f..%2fb", "/a%2f..%2fb"],
    ["/%252e%252e/b", "/%252e%252e/b"],
    ["/a#b", "/a"],
    ["/a?x#b", "/a?x"],
    ["/a?x#b?c", "/a?x"],
    ["/a?a;b", "/a?a;b"],
    ["/a%ff", "/a%ff"],
    ["/a/..", "/"],
    ["/a/b/.", "/a/b/"],
    ["/a/%2e", "/a/"],
    ["/..", "/"],
    ["/a/.b/..c/...", "/a/.b/..c/..."],
    ["/a/../b?../c", "/b?../c"],
    ["/it's\"<x>{y}|^`", "/it's\"<x>{y}|^`"],
  ])("has one form, %s is %s to the backend [B07]", async (target, expected) => {
    expect((await arrived(get(target))).target).toBe(expected);
    for (const bytes of [
      request(`GET ${target} HTTP/1.1`, "Host: 1.2.3.4.5\r\n"),
      request(`GET ${target} HTTP/1.1`, "Host: a..b\r\n"),
    ]) {
      expect((await arrived(bytes)).target).toBe(expected);
    }
    const old = await front.ended(request(`GET ${target} HTTP/1.0`, ""));
    expect(old.requests.map((each) => each.target)).toEqual([expected]);
  });

  test.each(["/caf\xc3\xa9", "/a?\xc3\xa9", "/\xff", "/\xc0\xaf", "/\x7f", "/a b"])(
    "with what is not printable ASCII, UTF-8 among it, is refused (%j) [B07]",
    async (target) => {
      expect((await front.refused(get(target), 400, 505)).requests).toEqual([]);
    },
  );

  test.each(["//host@evil/", "/http://evil", "/\\evil", "///evil", "/@evil", "/:80/", "//[::1]/"])(
    "that looks like a host is a path (%s) [B09]",
    async (target) => {
      expect(await arrived(get(target))).toEqual({
        method: "GET",
        target: target.replaceAll("\\", "/"),
        host: "shop.example",
      });
    },
  );

  test("never names the server that is connected to [B09]", async () => {
    const evil = startFakeBackend();
    const address = `127.0.0.1:${evil.port}`;
    try {
      for (const target of [
        `//${address}/`,
        `/http://${address}/`,
        `/\\${address}/`,
        `//shop.example@${address}/`,
        `/@${address}/`,
      ]) {
        await arrived(get(target));
      }
      await front.refused(get(`http://${address}/`), 400);
      await front.refused(get(`\\\\${address}/`), 400);
      await front.refused(get(`@${address}/`), 400);
      expect(evil.connections).toBe(0);
    } finally {
      evil.stop();
    }
  });
});

describe("a query", () => {
  test.each([
    "a=1&b=2;c=3",
    "",
    "%",
    "%zz",
    "a%2",
    "%ff%00%0d%0a",
    "a?b",
    "../..//./%2e%2e",
    "a\\b",
    "+&=&&==",
    "a=[1]&b={2}|^`~!$()*,:@",
    "'\"<>",
    "x".repeat(8 * 1024),
  ])("reaches the backend byte by byte (%s) [B08]", async (query) => {
    expect((await arrived(get(`/q?${query}`))).target).toBe(`/q?${query}`);
  });
});

describe("an HTTP/1.0 request", () => {
  test.each([
    ["Host: shop.example\r\n", "shop.example"],
    ["", null],
    ["Host: shop.example\r\nConnection: keep-alive\r\n", "shop.example"],
    ["Connection: keep-alive\r\n", null],
  ])("is answered and its connection closed, as a proxy must (%j) [B11]", async (fields, host) => {
    const { requests, statuses, received } = await front.ended(
      request("GET /old HTTP/1.0", fields),
    );
    expect(statuses).toEqual([200]);
    expect(bodyOf(received)).toBe("GET /old");
    expect(received).not.toMatch(/transfer-encoding/i);
    expect(requests).toHaveLength(1);
    expect(requests[0]?.version).toBe("HTTP/1.1");
    expect(requests[0]?.header("host")).toBe(host ?? `127.0.0.1:${front.backend.port}`);
  });
});
