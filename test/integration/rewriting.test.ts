/** What the configuration says to change in requests and answers, through the compiled binary. */
import { expect, test } from "bun:test";
import { useHarness } from "../_support/harness.ts";
import { exchangeRaw } from "../_support/raw-client.ts";

const harness = useHarness();

function get(port: number, path: string, lines = ""): Promise<string> {
  return exchangeRaw(port, `GET ${path} HTTP/1.1\r\nHost: a\r\n${lines}Connection: close\r\n\r\n`);
}

test("the backend gets the path without its prefix where the route says so", async () => {
  const backend = harness.backend();
  const proxy = await harness.proxy({
    config: {
      pools: { web: { backends: [backend.url], health: false } },
      routes: [
        { path: "/v1/*", pool: "web", stripPrefix: true },
        { path: "/v2/*", pool: "web" },
      ],
      workers: 1,
    },
  });
  for (const path of ["/v1/users?a=/v1/b", "/v1", "/v2/users"]) await get(proxy.port, path);
  expect(backend.requests.map(({ target }) => target)).toEqual([
    "/users?a=/v1/b",
    "/",
    "/v2/users",
  ]);
});

test("header rules are followed in both directions", async () => {
  const backend = harness.backend(() => ({
    headers: [
      ["Server", "theirs"],
      ["X-Add", "theirs"],
      ["X-Powered-By", "theirs"],
    ],
    body: "hi",
  }));
  const headers = {
    request: { set: { "X-Set": "ours" }, add: { "X-Add": "ours" }, remove: ["X-Removed"] },
    response: { set: { Server: "ours" }, add: { "X-Add": "ours" }, remove: ["X-Powered-By"] },
  };
  const proxy = await harness.proxy({
    config: { pools: { web: { backends: [backend.url], health: false, headers } }, workers: 1 },
  });
  const sent = "X-Set: theirs\r\nX-Add: theirs\r\nX-Removed: 1\r\n";
  const received = await get(proxy.port, "/", sent);
  const [request] = backend.requests;
  expect(request?.all("x-set")).toEqual(["ours"]);
  expect(request?.all("x-add")).toEqual(["theirs", "ours"]);
  expect(request?.all("x-removed")).toEqual([]);
  expect(received.match(/^server: .*$/gim)).toEqual([expect.stringMatching(/: ours$/)]);
  expect(received).toMatch(/^x-add: theirs\r\n[^]*^x-add: ours\r$/im);
  expect(received).not.toMatch(/x-powered-by/i);
});
