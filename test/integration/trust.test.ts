/** Who is believed, and what backends and clients are told, through the compiled binary: D01 to D06, D10. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { UserConfig } from "../../src/index.ts";
import { BUILD_TIMEOUT_MS } from "../_support/binary.ts";
import { startFakeBackend } from "../_support/fake-backend.ts";
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
          headers: {
            request: { set: { "X-Set": "ours" }, add: { "X-Add": "ours" }, remove: ["X-Removed"] },
            response: {
              set: { Server: "ours" },
              add: { "X-Add": "ours" },
              remove: ["X-Powered-By"],
            },
          },
        },
      },
      routes: [
        { path: "/v1/*", pool: "web", stripPrefix: true },
        { path: "/v2/*", pool: "web" },
      ],
      workers: 1,
      ...change,
    },
    files: { "seen.ts": strategy },
  });
}

let careful: Proxy;
let trusting: Proxy;

beforeAll(async () => {
  backend.handler = () => ({
    headers: [
      ["Server", "theirs"],
      ["X-Add", "theirs"],
      ["X-Powered-By", "theirs"],
    ],
    body: "hi",
  });
  [careful, trusting] = await Promise.all([
    start({}),
    start({ trustedProxies: ["127.0.0.0/8", "10.0.0.0/8"] }),
  ]);
}, BUILD_TIMEOUT_MS);

afterAll(async () => {
  expect(await Promise.all([careful.stop(), trusting.stop()])).toEqual([0, 0]);
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

describe("a peer that is not trusted", () => {
  test("is the client, and its forwarding fields are replaced", async () => {
    const { request } = await send(careful, "/v2/", `${spoofed}X-Expect: 127.0.0.1\r\n`);
    expect(request?.header("x-forwarded-for")).toBe("127.0.0.1");
    expect(request?.header("x-forwarded-proto")).toBe("http");
    expect(request?.header("x-forwarded-host")).toBe("shop.example:80");
    expect(request?.header("x-request-id")).toMatch(/^[a-z0-9-]+$/);
    expect(request?.rawHead.toString("latin1")).not.toMatch(/1\.2\.3\.4|outer|^forwarded:/im);
  });
});

describe("a trusted peer", () => {
  test("tells who the client is, and its forwarding fields are extended", async () => {
    const { request } = await send(trusting, "/v2/", `${spoofed}X-Expect: 192.0.2.9\r\n`);
    expect(request?.header("x-forwarded-for")).toBe("1.2.3.4, 192.0.2.9, 10.0.0.1, 127.0.0.1");
    expect(request?.header("x-forwarded-proto")).toBe("https");
    expect(request?.header("x-forwarded-host")).toBe("outer.example");
    expect(request?.header("x-real-ip")).toBe("1.2.3.4");
    expect(request?.header("x_forwarded_for")).toBeNull();
    expect(request?.header("x-request-id")).toBe("outer-1");
    expect(request?.header("forwarded")).toBe(
      'for=1.2.3.4;proto=https, for=127.0.0.1;host="shop.example:80";proto=http',
    );
  });

  test("with ten kilobytes of hops is answered", async () => {
    const hops = "10.0.0.1, ".repeat(1000);
    const sent = `X-Forwarded-For: ${hops}10.0.0.2\r\nX-Expect: 127.0.0.1\r\n`;
    const { received } = await send(trusting, "/v2/", sent);
    expect(received).toStartWith("HTTP/1.1 200 ");
  });
});

describe("the request id", () => {
  test("of a trusted peer is the one in our own answers", async () => {
    const { received } = await send(trusting, "/nowhere", "X-Request-Id: outer-2\r\n");
    expect(received).toStartWith("HTTP/1.1 404 ");
    expect(received).toContain('"requestId":"outer-2"');
  });

  test.each(["a b", "x".repeat(129), "x".repeat(10_000)])("%s is not kept", async (id) => {
    const { request } = await send(
      trusting,
      "/v2/",
      `X-Request-Id: ${id}\r\nX-Expect: 127.0.0.1\r\n`,
    );
    expect(request?.header("x-request-id")).toMatch(/^[a-z0-9]+-[a-z0-9-]+$/);
  });
});

test("the backend gets the path without its prefix where the route says so", async () => {
  const expected = "X-Expect: 127.0.0.1\r\n";
  expect((await send(careful, "/v1/users?a=/v1/b", expected)).request?.target).toBe(
    "/users?a=/v1/b",
  );
  expect((await send(careful, "/v1", expected)).request?.target).toBe("/");
  expect((await send(careful, "/v2/users", expected)).request?.target).toBe("/v2/users");
});

test("header rules are followed in both directions", async () => {
  const sent = "X-Set: theirs\r\nX-Add: theirs\r\nX-Removed: 1\r\nX-Expect: 127.0.0.1\r\n";
  const { request, received } = await send(careful, "/v2/", sent);
  expect(request?.all("x-set")).toEqual(["ours"]);
  expect(request?.all("x-add")).toEqual(["theirs", "ours"]);
  expect(request?.all("x-removed")).toEqual([]);
  expect(received.match(/^server: .*$/gim)).toEqual([expect.stringMatching(/: ours$/)]);
  expect(received).toMatch(/^x-add: theirs(, |\r\nx-add: )ours\r$/im);
  expect(received).not.toMatch(/x-powered-by/i);
});
