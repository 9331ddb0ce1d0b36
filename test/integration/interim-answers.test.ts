/** Interim (1xx) answers of backends, and clients that wait for 100 before they send their body. */
import { describe, expect, test } from "bun:test";
import { startFakeBackend } from "../_support/fake-backend.ts";
import type { Proxy } from "../_support/proxy.ts";
import { connectRaw, exchangeRaw } from "../_support/raw-client.ts";
import { useSharedProxy } from "../_support/shared-proxy.ts";

const backend = startFakeBackend({ answerAt: "head" });
let proxy: Proxy;

useSharedProxy(backend, { body: { max: "1KiB" } }, (started) => {
  proxy = started;
});

const FINAL = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** How often the client was told to go on. */
function continues(received: string): number {
  return received.match(/HTTP\/1\.1 100 /g)?.length ?? 0;
}

describe("a backend's interim answer", () => {
  const interim: [string, string[]][] = [
    ["103", ["HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n", FINAL]],
    ["103, and the final one in the same write", [`HTTP/1.1 103 Early Hints\r\n\r\n${FINAL}`]],
    ["102", ["HTTP/1.1 102 Processing\r\n\r\n", FINAL]],
    ["100 that nobody asked for", ["HTTP/1.1 100 Continue\r\n\r\n", FINAL]],
    [
      "100, 102 and two 103, cut anywhere",
      [
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nX-A: 1\r",
        "\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 1",
        `03 Early Hints\r\nLink: </b>\r\n\r\n${FINAL.slice(0, 9)}`,
        FINAL.slice(9),
      ],
    ],
  ];
  test.each(
    interim.flatMap(([what, raw]) => [
      [what, "1.1", raw] as const,
      [what, "1.0", raw] as const,
      [what, "1.1 POST", raw] as const,
    ]),
  )("(%s) is dropped, and an HTTP/%s client gets the final one [E20]", async (_what, how, raw) => {
    backend.handler = () => ({ raw });
    const [version, method = "GET"] = how.split(" ");
    const body = method === "POST" ? "Content-Length: 4\r\n\r\nbody" : "\r\n";
    // Twice: the second comes over the same connection of the backend, which must be in step.
    for (let i = 0; i < 2; i++) {
      const received = await exchangeRaw(
        proxy.port,
        `${method} / HTTP/${version}\r\nHost: a\r\nConnection: close\r\n${body}`,
      );
      expect(received).toMatch(/^HTTP\/1\.1 200 [^]*\r\n\r\nok$/);
      expect(received.match(/HTTP\/1\./g)).toHaveLength(1);
      expect(received).not.toMatch(/link:|x-a:/i);
    }
    const [one, other] = backend.requests.slice(-2);
    expect(one?.connection).toBe(other?.connection as number);
  });

  test.each(["fin", "reset"] as const)(
    "and then its death (%s) is a 502, without the hints [E20]",
    async (afterwards) => {
      backend.handler = () => ({
        raw: ["HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"],
        afterwards,
      });
      const received = await exchangeRaw(
        proxy.port,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
      );
      expect(received).toStartWith("HTTP/1.1 502 ");
      expect(received).not.toMatch(/link:/i);
      expect(received.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    },
  );
});

describe("a client that expects 100-continue", () => {
  const head =
    "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\nConnection: close\r\n\r\n";

  test("gets it once, before the backend says anything, and its backend is not asked for it [E21]", async () => {
    const told = Promise.withResolvers<void>();
    backend.handler = async (request, wire) => {
      await told.promise;
      await backend.until(() => request.complete);
      // Late and unasked for: it must not reach the client as a second one.
      await wire.write(`HTTP/1.1 100 Continue\r\n\r\n${FINAL}`);
    };
    const seen = backend.requests.length;
    const client = await connectRaw(proxy.port);
    client.send(head);
    await client.until((text) => continues(text) === 1);
    await backend.seen(seen + 1);
    told.resolve();
    client.send("body");
    await client.closed;
    expect(continues(client.received())).toBe(1);
    expect(client.received()).toEndWith("\r\n\r\nok");
    expect(backend.requests[seen]).toMatchObject({ text: "body", complete: true });
    expect(backend.requests[seen]?.header("expect")).toBeNull();
  });

  test("gets a backend's 417 without having sent its body, which never seems whole [E21]", async () => {
    backend.handler = () => ({ status: 417, body: "no expectations" });
    const seen = backend.requests.length;
    const client = await connectRaw(proxy.port);
    client.send(head);
    const received = await client.until((text) => text.endsWith("no expectations"));
    expect(received).toMatch(/HTTP\/1\.1 417 /);
    expect(continues(received)).toBeLessThan(2);
    expect(backend.requests[seen]).toMatchObject({ bodyLength: 0, complete: false });
    client.end();
  });

  test.each([
    "Expect: 100-continue\r\nExpect: 100-continue\r\n",
    "Expect: 100-Continue\r\n",
    "Expect: 100-continue, other\r\n",
  ])("in an odd way (%j) gets at most one, and its answer [E21]", async (expectation) => {
    backend.handler = async (request) => {
      await backend.until(() => request.complete);
      return { body: request.text };
    };
    const received = await exchangeRaw(
      proxy.port,
      `POST / HTTP/1.1\r\nHost: a\r\n${expectation}Content-Length: 4\r\nConnection: close\r\n\r\nbody`,
    );
    expect(continues(received)).toBeLessThan(2);
    expect(received).toMatch(/HTTP\/1\.1 200 [^]*\r\n\r\nbody$/);
    expect(backend.requests.at(-1)?.header("expect")).toBeNull();
  });

  test("in HTTP/1.0 gets none, and its answer follows (RFC 9110, 10.1.1)", async () => {
    backend.handler = async (request) => {
      await backend.until(() => request.complete);
      return { body: request.text };
    };
    const received = await exchangeRaw(proxy.port, `${head.replace("1.1", "1.0")}body`);
    expect(continues(received)).toBe(0);
    expect(received).toEndWith("\r\n\r\nbody");
  });

  test("with more than body.max gets 413 in its place, and the connection ends [E24]", async () => {
    const seen = backend.requests.length;
    const client = await connectRaw(proxy.port);
    client.send(head.replace("Content-Length: 4", "Content-Length: 2000"));
    const received = await client.until((text) => text.endsWith("}\n"));
    expect(received).toMatch(/^HTTP\/1\.1 413 [^]*\r\nconnection: close\r\n/i);
    expect(received).toContain('"code":"body_too_large"');
    expect(backend.requests).toHaveLength(seen);
    client.end();
  });
});
