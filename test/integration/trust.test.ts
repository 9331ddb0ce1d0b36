/** Who is believed, and what backends and clients are told, through the compiled binary. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { UserConfig } from "../../src/index.ts";
import { BUILD_TIMEOUT_MS } from "../_support/binary.ts";
import { type FakeRequest, startFakeBackend } from "../_support/fake-backend.ts";
import { type Proxy, startProxy } from "../_support/proxy.ts";
import { exchangeRaw } from "../_support/raw-client.ts";

const backend = startFakeBackend();
const spoofed =
  "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 192.0.2.9, 10.0.0.1\r\nX-Forwarded-Proto: https\r\n" +
  "X-Forwarded-Host: outer.example\r\nForwarded: for=1.2.3.4;proto=https\r\n" +
  "X-Real-IP: 1.2.3.4\r\nX_Forwarded_For: 1.2.3.4\r\nX-Request-Id: outer-1\r\n";

/** Refuses unless the strategy sees this client, so that its view can be seen from outside. */
const strategy = `
import { defineStrategy } from "leastwise";
export default defineStrategy({
  name: "seen",
  apiVersion: 1,
  create: () => ({
    pick: (candidates, { request }) =>
      request.headers.get("x-expect") === request.clientAddress ? candidates[0] : null,
  }),
});
`;

function start(change: Partial<UserConfig>): Promise<Proxy> {
  return startProxy({
    config: {
      pools: {
        web: {
          backends: [backend.url],
          health: false,
          strategy: "./seen.ts",
        },
      },
      routes: [{ path: "/v2/*", pool: "web" }],
      workers: 1,
      ...change,
    },
    files: { "seen.ts": strategy },
  });
}

let careful: Proxy;
let trusting: Proxy;
/** On both families, and trusting both. */
let sixth: Proxy;

beforeAll(async () => {
  [careful, trusting, sixth] = await Promise.all([
    start({}),
    start({ trustedProxies: ["127.0.0.0/8", "10.0.0.0/8"] }),
    start({ listen: [{ address: "[::]:0" }], trustedProxies: ["127.0.0.0/8", "::1"] }),
  ]);
}, BUILD_TIMEOUT_MS);

afterAll(async () => {
  const codes = await Promise.all([careful, trusting, sixth].map((proxy) => proxy.stop()));
  expect(codes).toEqual([0, 0, 0]);
  expect(backend.refused).toEqual([]);
  backend.stop();
});

async function send(proxy: Proxy, path: string, headers: string) {
  const before = backend.requests.length;
  const received = await exchangeRaw(
    proxy.port,
    `GET ${path} HTTP/1.1\r\nHost: shop.example:80\r\nConnection: close\r\n${headers}\r\n`,
  );
  return { received, request: backend.requests[before] };
}

/** Its fields as the backend got them, and that the strategy saw this client. */
async function seen(proxy: Proxy, client: string, ...lines: string[]): Promise<FakeRequest> {
  const fields = [...lines, `X-Expect: ${client}`].map((line) => `${line}\r\n`).join("");
  const { received, request } = await send(proxy, "/v2/", fields);
  expect(received).toStartWith("HTTP/1.1 200 ");
  if (request === undefined) throw new Error("the backend saw nothing");
  return request;
}

describe("a peer that is not trusted", () => {
  test("is told of once, with scheme, host and port that it reached [D01]", async () => {
    const request = await seen(careful, "127.0.0.1");
    expect(request.all("x-forwarded-for")).toEqual(["127.0.0.1"]);
    expect(request.all("x-forwarded-proto")).toEqual(["http"]);
    expect(request.all("x-forwarded-host")).toEqual(["shop.example:80"]);
    expect(request.all("x-forwarded-port")).toEqual([String(careful.port)]);
    expect(request.header("forwarded")).toBeNull();
  });

  test("is the client, and its forwarding fields are replaced [D02]", async () => {
    const { request } = await send(careful, "/v2/", `${spoofed}X-Expect: 127.0.0.1\r\n`);
    expect(request?.header("x-forwarded-for")).toBe("127.0.0.1");
    expect(request?.header("x-forwarded-proto")).toBe("http");
    expect(request?.header("x-forwarded-host")).toBe("shop.example:80");
    expect(request?.header("x-request-id")).toMatch(/^[a-z0-9-]+$/);
    expect(request?.rawHead.toString("latin1")).not.toMatch(/1\.2\.3\.4|outer|^forwarded:/im);
    const fooled = await send(careful, "/v2/", `${spoofed}X-Expect: 1.2.3.4\r\n`);
    expect(fooled.received).toStartWith("HTTP/1.1 503 ");
  });

  test.each([
    "Forwarded: for=spoofed;proto=https",
    "forwarded: for=10.0.0.1\r\nForwarded: for=spoofed;by=10.0.0.1",
    'Forwarded: for="[2001:db8::1]:80";host=spoofed',
  ])("cannot make a hop up: %s [D05]", async (line) => {
    const request = await seen(careful, "127.0.0.1", line);
    expect(request.rawHead.toString("latin1")).not.toMatch(/spoofed|2001:db8|^forwarded:/im);
  });

  const names = [
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Server",
    "X-Forwarded-User",
    "X-Forwarded-Ssl",
    "X-Real-IP",
    "True-Client-IP",
    "X-Request-Id",
  ];
  test.each([
    ["as they are", names],
    ["in capitals", names.map((name) => name.toUpperCase())],
    ["with underscores", names.map((name) => name.replaceAll("-", "_"))],
    ["with one underscore", names.map((name) => name.replace("-", "_").toLowerCase())],
  ])("has none of its claims believed, their names written %s [D06]", async (_how, written) => {
    const request = await seen(careful, "127.0.0.1", ...written.map((name) => `${name}: spoofed`));
    expect(request.rawHead.toString("latin1")).not.toContain("spoofed");
    const known = request.headers.map(([name]) => name.toLowerCase());
    expect(known.filter((name) => name.includes("_"))).toEqual([]);
    expect(known.filter((name) => name.startsWith("x-forwarded-")).toSorted()).toEqual([
      "x-forwarded-for",
      "x-forwarded-host",
      "x-forwarded-port",
      "x-forwarded-proto",
    ]);
  });
});

describe("a trusted peer", () => {
  test("tells who the client is, and its forwarding fields are extended [D03, D05]", async () => {
    const { request } = await send(trusting, "/v2/", `${spoofed}X-Expect: 192.0.2.9\r\n`);
    expect(request?.header("x-forwarded-for")).toBe("1.2.3.4, 192.0.2.9, 10.0.0.1, 127.0.0.1");
    expect(request?.header("x-forwarded-proto")).toBe("https");
    expect(request?.header("x-forwarded-host")).toBe("outer.example");
    // The port of another hop's scheme is not ours.
    expect(request?.header("x-forwarded-port")).toBeNull();
    expect(request?.header("x-real-ip")).toBe("1.2.3.4");
    expect(request?.header("x_forwarded_for")).toBeNull();
    expect(request?.header("x-request-id")).toBe("outer-1");
    expect(request?.header("forwarded")).toBe(
      'for=1.2.3.4;proto=https, for=127.0.0.1;host="shop.example:80";proto=http',
    );
  });

  test("that says nothing is told of as the client [D01, D03]", async () => {
    const request = await seen(trusting, "127.0.0.1");
    expect(request.header("x-forwarded-for")).toBe("127.0.0.1");
    expect(request.header("x-forwarded-proto")).toBe("http");
    expect(request.header("x-forwarded-port")).toBe(String(trusting.port));
    expect(request.header("forwarded")).toBeNull();
  });

  test("tells which port the client reached [D01]", async () => {
    const request = await seen(trusting, "127.0.0.1", "X-Forwarded-Port: 443");
    expect(request.all("x-forwarded-port")).toEqual(["443"]);
  });

  test("cannot be made to lose what it says by a client's Connection [C03]", async () => {
    const request = await seen(
      trusting,
      "192.0.2.9",
      "X-Forwarded-For: 192.0.2.9",
      "X-Forwarded-User: alice",
      "X-Real-IP: 192.0.2.9",
      "Connection: X-Forwarded-For, X-Forwarded-User, X-Real-IP",
    );
    expect(request.header("x-forwarded-for")).toBe("192.0.2.9, 127.0.0.1");
    expect(request.header("x-forwarded-user")).toBe("alice");
    expect(request.header("x-real-ip")).toBe("192.0.2.9");
  });

  test.each([
    ["three lines", ["1.2.3.4", "192.0.2.9", "10.0.0.1"], "192.0.2.9"],
    ["no spaces", ["1.2.3.4,192.0.2.9,10.0.0.1"], "192.0.2.9"],
    ["IPv6", ["2001:db8::7, 10.0.0.1"], "2001:db8::7"],
    ["IPv6 with a port", ["[2001:db8::7]:4711, 10.0.0.1"], "2001:db8::7"],
    ["IPv4 with a port", ["192.0.2.9:4711"], "192.0.2.9"],
    ["garbage further left", ["<script>, 1.2.3, , \xff, 192.0.2.9"], "192.0.2.9"],
    ["garbage further right", ["192.0.2.9, <script>"], "127.0.0.1"],
    ["an empty entry further right", ["192.0.2.9,"], "127.0.0.1"],
    ["nothing but garbage", ["unknown", "_hidden", "999.1.1.1"], "127.0.0.1"],
    ["ten kilobytes of garbage", ["x".repeat(10_240)], "127.0.0.1"],
    ["ten kilobytes of garbage further left", [`${"x, ".repeat(3400)}192.0.2.9`], "192.0.2.9"],
    ["ten kilobytes of trusted hops", [`192.0.2.9${", 10.0.0.1".repeat(1000)}`], "127.0.0.1"],
  ])("may send %s in X-Forwarded-For [D04]", async (_what, lines, client) => {
    const sent = lines.map((line) => `X-Forwarded-For: ${line}`);
    const request = await seen(trusting, client, ...sent);
    expect(request.header("x-forwarded-for")).toBe([...lines, "127.0.0.1"].join(", "));
  });

  test("may send no head that is longer than the runtime takes [D04]", async () => {
    const { received, request } = await send(
      trusting,
      "/v2/",
      `X-Forwarded-For: ${"x".repeat(70_000)}\r\n`,
    );
    expect(received).toStartWith("HTTP/1.1 431 ");
    expect(request).toBeUndefined();
  });

  test("has its claims kept, but not under names that only look like them [D06]", async () => {
    const kept = { "x-forwarded-prefix": "/a", "x-forwarded-server": "b", "true-client-ip": "c" };
    const request = await seen(
      trusting,
      "127.0.0.1",
      ...Object.entries(kept).map(([name, value]) => `${name}: ${value}`),
      "X_Forwarded_Prefix: spoofed",
      "X_Forwarded_Port: spoofed",
      "x_real-ip: spoofed",
      "True_Client_IP: spoofed",
    );
    for (const [name, value] of Object.entries(kept)) expect(request.header(name)).toBe(value);
    expect(request.rawHead.toString("latin1")).not.toContain("spoofed");
  });
});

describe("over IPv6", () => {
  const from = async (hostname: string, host: string) => {
    const before = backend.requests.length;
    const received = await exchangeRaw(
      sixth.port,
      `GET /v2/ HTTP/1.1\r\nHost: ${host}\r\nForwarded: for=_a\r\n` +
        `X-Expect: ${hostname}\r\nConnection: close\r\n\r\n`,
      { hostname },
    );
    expect(received).toStartWith("HTTP/1.1 200 ");
    return backend.requests[before];
  };

  test("addresses are quoted and bracketed in Forwarded, and bare in X-Forwarded-For [D05]", async () => {
    const request = await from("::1", "[::1]:80");
    expect(request?.header("forwarded")).toBe('for=_a, for="[::1]";host="[::1]:80";proto=http');
    expect(request?.header("x-forwarded-for")).toBe("::1");
    expect(request?.header("x-forwarded-host")).toBe("[::1]:80");
  });

  test("an IPv4 peer is the one that trustedProxies and backends know [D03, D05]", async () => {
    const request = await from("127.0.0.1", "a");
    expect(request?.header("forwarded")).toBe("for=_a, for=127.0.0.1;host=a;proto=http");
    expect(request?.header("x-forwarded-for")).toBe("127.0.0.1");
  });
});

describe("the request id", () => {
  test("of a trusted peer is the one in our own answers [D10]", async () => {
    const { received } = await send(trusting, "/nowhere", "X-Request-Id: outer-2\r\n");
    expect(received).toStartWith("HTTP/1.1 404 ");
    expect(received).toContain('"requestId":"outer-2"');
  });

  test.each([
    "a b",
    "a%0d%0ab",
    "a\\r\\nSet-Cookie: b",
    "caf\xe9",
    '"a"',
    "\tx\ty",
    "a\r\nX-Request-Id: b",
    "x".repeat(129),
    "x".repeat(10_240),
  ])("%j of a trusted peer is not kept [D10]", async (id) => {
    const request = await seen(trusting, "127.0.0.1", `X-Request-Id: ${id}`);
    expect(request.header("x-request-id")).toMatch(/^[a-z0-9]+-[a-z0-9-]+$/);
  });

  test.each(["a\r\n b", "a\rb", "a\r\r\nb", "a\0b", "a\x01b"])(
    "%j is no field at all [D10]",
    async (id) => {
      const { received, request } = await send(trusting, "/v2/", `X-Request-Id: ${id}\r\n`);
      expect(received).toStartWith("HTTP/1.1 400 ");
      expect(request).toBeUndefined();
    },
  );
});
