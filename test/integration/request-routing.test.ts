/** Routes are chosen by the very host and path that the backend gets: no spelling of a path slips by them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { BUILD_TIMEOUT_MS } from "../_support/binary.ts";
import { startFakeBackend } from "../_support/fake-backend.ts";
import { type Proxy, startProxy } from "../_support/proxy.ts";
import { exchangeRaw } from "../_support/raw-client.ts";
import { bodyOf, statusesIn } from "../_support/recorded-front.ts";

const inside = startFakeBackend(({ target }) => `private ${target}`);
const outside = startFakeBackend(({ target }) => `public ${target}`);
let proxy: Proxy;

beforeAll(async () => {
  proxy = await startProxy({
    config: {
      pools: {
        private: { backends: [inside.url], health: false },
        public: { backends: [outside.url], health: false },
      },
      routes: [
        { host: "admin.example", pool: "private" },
        { path: "/private/*", pool: "private" },
        { path: "/v1/*", pool: "public", stripPrefix: true },
        { pool: "public" },
      ],
      workers: 1,
    },
  });
}, BUILD_TIMEOUT_MS);

afterAll(async () => {
  expect(await proxy.stop()).toBe(0);
  expect([...inside.refused, ...outside.refused]).toEqual([]);
  inside.stop();
  outside.stop();
});

async function ask(target: string, host = "shop.example"): Promise<string> {
  const fields = `Host: ${host}\r\nConnection: close\r\n`;
  const received = await exchangeRaw(proxy.port, `GET ${target} HTTP/1.1\r\n${fields}\r\n`);
  expect(statusesIn(received)).toEqual([200]);
  return bodyOf(received);
}

test.each([
  ["/private/x", "private /private/x"],
  ["/a/../private/x", "private /private/x"],
  ["/./private/x", "private /private/x"],
  ["/%2e/private/x", "private /private/x"],
  ["/a\\..\\private\\x", "private /private/x"],
  ["/v1/../private/x", "private /private/x"],
  ["/private/../x", "public /x"],
  ["/private/%2e%2e/x", "public /x"],
  ["/private\\..\\x", "public /x"],
  ["/x?/private/", "public /x?/private/"],
  ["/x#/private/", "public /x"],
  ["/private#/../../x", "private /private"],
  // Matched as they are written, and passed on as they are written.
  ["//private/x", "public //private/x"],
  ["/%70rivate/x", "public /%70rivate/x"],
  ["/Private/x", "public /Private/x"],
  ["/private%2fx", "public /private%2fx"],
  ["/a/..;/private/x", "public /a/..;/private/x"],
  ["/v1/..%2fprivate/x", "public /..%2fprivate/x"],
  ["/v1//private/x", "public //private/x"],
  ["/v1/http://evil", "public /http://evil"],
])("%s is routed by the form that the backend gets, %s [B07]", async (target, expected) => {
  expect(await ask(target)).toBe(expected);
  // The same where the runtime leaves the target as it was sent.
  expect(await ask(target, "1.2.3.4.5")).toBe(expected);
});

test("a target in absolute form is routed by its host, which must be that of Host [B03]", async () => {
  expect(await ask("http://shop.example/x", "shop.example")).toBe("public /x");
  expect(await ask("http://admin.example/x", "admin.example")).toBe("private /x");
  expect(inside.requests.at(-1)?.header("host")).toBe("admin.example");
});

test("host and path are never taken for one another, in whatever order they come [B12]", async () => {
  const asked = [
    ["shop.example:3100", "/1/private/x", "public /1/private/x"],
    ["shop.example:31001", "/private/x", "private /private/x"],
    ["shop.example", "/admin.example/x", "public /admin.example/x"],
    ["admin.example", "/x", "private /x"],
    ["x.admin.example", "/x", "public /x"],
    ["admin.example.x", "/x", "public /x"],
    ["admin.example:1", "/private/x", "private /private/x"],
    ["shop.example:1", "/x", "public /x"],
  ] as const;
  for (const order of [asked, asked.toReversed(), asked]) {
    for (const [host, target, expected] of order) expect(await ask(target, host)).toBe(expected);
  }
  const glued = "GET 1/private/x HTTP/1.1\r\nHost: shop.example:3100\r\n\r\n";
  expect(statusesIn(await exchangeRaw(proxy.port, glued))).toEqual([400]);
});
