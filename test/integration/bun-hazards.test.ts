/**
 * What Bun does that we rely on, or guard against, shown on Bun alone. A new version of Bun is judged by running this
 * file and its neighbours (`bun-hazards-*`): where a test fails, the code that the name speaks of has to be looked at.
 *
 * Here: how Bun.serve reads requests.
 */
import { describe, expect, test } from "bun:test";
import { bareGet as get, useBareFronts } from "../_support/bare-front.ts";
import { connectRaw, exchangeRaw } from "../_support/raw-client.ts";

const { answerTo, serve } = useBareFronts();

describe("a request to Bun.serve", () => {
  async function seen<T>(request: string, look: (request: Request) => T): Promise<T | undefined> {
    let found: T | undefined;
    await exchangeRaw(
      serve((received) => {
        found = look(received);
        return new Response("ok");
      }),
      request,
    );
    return found;
  }

  test("with two Hosts gets through, joined by a comma: we refuse such a Host", async () => {
    expect(await seen(get("Host: b.example"), ({ headers }) => headers.get("host"))).toBe(
      "a.example, b.example",
    );
  });

  test("that is a GET loses its body but not its length: we refuse it", async () => {
    const request = `${get("Content-Length: 5")}hello`;
    const found = await seen(request, ({ body, headers }) => [body, headers.get("content-length")]);
    expect(found).toEqual([null, "5"]);
  });

  test("has its target in one form if the Host can be parsed: we route and forward that form", async () => {
    const request = get().replace("GET /", "GET /a/./x/../b\\c%2e?q=/../#f");
    expect(await seen(request, ({ url }) => url)).toBe("http://a.example/a/b/c%2e?q=/../#f");
  });

  test.each(["1.2.3.4.5", "a b", "["])(
    "has its target as it was sent if the Host is `%s`: we resolve it ourselves",
    async (host) => {
      const request = get().replace("GET /", "GET /a/../b").replace("a.example", host);
      expect(await seen(request, ({ url }) => url)).toEndWith("/a/../b");
    },
  );

  test("that is a CONNECT reaches the handler: we answer 501", async () => {
    const request = get().replace("GET /", "CONNECT b.example:443");
    expect(await seen(request, ({ method }) => method)).toBe("CONNECT");
  });

  test.each(["FOO", "get"])("with the method %s is closed unanswered: a limit", async (method) => {
    const received = await answerTo(get().replace("GET", method), () => new Response("ok"));
    expect(received).toBe("");
  });

  test("that is `OPTIONS *` gets 400: a limit", async () => {
    const request = get().replace("GET /", "OPTIONS *");
    expect(await answerTo(request, () => new Response("ok"))).toStartWith("HTTP/1.1 400 ");
  });

  test.each([
    "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "Content-Length: 5\r\nContent-Length: 6",
    "Content-Length: +5",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: gzip, chunked",
    "Content-Length: \r\nContent-Length: 5",
    "Content-Length: 5, 5",
    "X-Folded: a\r\n b",
    "X-Spaced : a",
    "X-Nul: a\0b",
  ])("with %j gets 400 before any handler: we rely on it", async (fields) => {
    const request = `${get(fields).replace("GET", "POST")}0\r\n\r\n`;
    let handled = 0;
    const received = await answerTo(request, () => new Response(String(++handled)));
    expect(received).toStartWith("HTTP/1.1 400 ");
    expect(handled).toBe(0);
  });

  test("in HTTP/1.0 with chunks gets 400: we rely on it", async () => {
    const head = get("Transfer-Encoding: chunked").replace("GET / HTTP/1.1", "POST / HTTP/1.0");
    const received = await answerTo(`${head}0\r\n\r\n`, () => new Response("ok"));
    expect(received).toStartWith("HTTP/1.1 400 ");
  });

  test.each(["GET / HTTP/1.1\r\n\r\n", "CONNECT b:1 HTTP/1.1\r\n\r\n"])(
    "without a Host (%j) gets 400, an upgrade included: we rely on it",
    async (bare) => {
      const upgrade = bare.replace("\r\n\r\n", "\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
      for (const request of [bare, upgrade]) {
        const received = await answerTo(request, () => new Response("ok"));
        expect(received).toStartWith("HTTP/1.1 400 ");
      }
    },
  );

  test.each([
    get(`X-Long: ${"a".repeat(17_000)}`),
    get(...Array.from({ length: 205 }, () => "X-Many: a")),
    get().replace("/", `/${"a".repeat(17_000)}`),
  ])("with a head above 16 KiB or 200 fields gets 431: our limits", async (request) => {
    let handled = 0;
    const received = await answerTo(request, () => new Response(String(++handled)));
    expect(received).toStartWith("HTTP/1.1 431 ");
    expect(handled).toBe(0);
  });

  test.each([
    ..."2000000000000000 ffffffffffffffff 10000000000000005 +5 -5 0x5 G".split(" "),
    " 5",
    "5 ",
    "",
    "5;a\nb",
    "5;a\0b",
  ])(
    "with the chunk size %j gets 400, and its body is no whole one: we rely on it",
    async (size) => {
      const head = get("Transfer-Encoding: chunked").replace("GET", "POST");
      const read = Promise.withResolvers<string>();
      const port = serve(async (request) => {
        read.resolve(await request.text().catch(() => "broken"));
        return new Response("ok");
      });
      const received = await exchangeRaw(port, `${head}${size}\r\nhello\r\n0\r\n\r\n`);
      expect(received).toStartWith("HTTP/1.1 400 ");
      expect(await read.promise).toBe("broken");
    },
  );

  test("with a chunk of 4 GiB and 5 bytes is not taken for one of 5 bytes: we rely on it", async () => {
    const head = get("Transfer-Encoding: chunked").replace("GET", "POST");
    const port = serve(async (request) => {
      const text = await request.text().catch(() => "broken");
      return new Response(text);
    });
    const client = await connectRaw(port);
    client.send(`${head}100000005\r\nhello\r\n0\r\n\r\n`);
    // An answer to a request after it shows that the server was done with it.
    expect(await exchangeRaw(port, get())).toStartWith("HTTP/1.1 200 ");
    expect(client.received()).toBe("");
    client.reset();
  });

  test.each(["helloXX", "hello\n", "hello, world\r\n"])(
    "whose chunk of 5 bytes is %j gets 400: we rely on it",
    async (data) => {
      const head = get("Transfer-Encoding: chunked").replace("GET", "POST");
      const port = serve(async (request) => new Response(await request.text()));
      const received = await exchangeRaw(port, `${head}5\r\n${data}0\r\n\r\n`);
      expect(received).toStartWith("HTTP/1.1 400 ");
    },
  );

  test("with a chunk extension above 16 KiB gets 413: we rely on it", async () => {
    const head = get("Transfer-Encoding: chunked").replace("GET", "POST");
    const port = serve(async (request) => new Response(await request.text()));
    const extension = "a".repeat(20_000);
    const received = await exchangeRaw(port, `${head}5;${extension}\r\nhello\r\n0\r\n\r\n`);
    expect(received).toStartWith("HTTP/1.1 413 ");
  });

  test("has bytes above 127 in its fields one by one, as latin-1, and so has an answer: we pass them on", async () => {
    const fetch = ({ headers }: Request) =>
      new Response("ok", { headers: { "x-back": headers.get("x-latin") ?? "" } });
    const received = await exchangeRaw(serve(fetch), get("X-Latin: caf\xe9 \xc3\xa9"));
    expect(received).toMatch(/\r\nx-back: caf\xe9 \xc3\xa9\r\n/i);
  });

  test("with a DEL in a field gets through: we refuse it", async () => {
    const value = await seen(get("X-Del: a\x7fb"), ({ headers }) => headers.get("x-del"));
    expect(value).toBe("a\x7fb");
  });

  test("with an empty chunk extension gets through: a limit, we frame its body anew", async () => {
    const head = get("Transfer-Encoding: chunked").replace("GET", "POST");
    const port = serve(async (request) => new Response(await request.text()));
    const received = await exchangeRaw(port, `${head}5;\r\nhello\r\n0\r\n\r\n`);
    expect(received).toEndWith("\r\n\r\nhello");
  });

  test("with two equal lengths gets through, joined by a comma: we refuse it", async () => {
    const request = get("Content-Length: 2", "Content-Length: 2").replace("GET", "POST");
    expect(await seen(`${request}hi`, ({ headers }) => headers.get("content-length"))).toBe("2, 2");
  });

  test.each(["X-Sum: 1\r\n\r\n", "XX"])(
    "tells of its last chunk before %j after that, and aborts in the same turn of the loop: we wait for it",
    async (rest) => {
      const told = Promise.withResolvers<boolean[]>();
      const port = serve(async (request) => {
        const { signal } = request;
        await request.text();
        const early = signal.aborted;
        await new Promise((resolve) => setImmediate(resolve));
        told.resolve([early, signal.aborted]);
        return new Response("ok");
      });
      const head = get("Transfer-Encoding: chunked").replace("GET", "POST");
      const received = await exchangeRaw(port, `${head}2\r\nhi\r\n0\r\n${rest}`);
      expect(await told.promise).toEqual([false, true]);
      expect(received).toStartWith("HTTP/1.1 400 ");
    },
  );

  test("answered before its body has come is read to its end, then the next one: we rely on it", async () => {
    const kept = get("Content-Length: 5")
      .replace("GET", "POST")
      .replace("Connection: close\r\n", "");
    let count = 0;
    const client = await connectRaw(serve(() => new Response(`answer ${++count}`)));
    client.send(`${kept}he`);
    await client.until((text) => text.endsWith("answer 1"));
    client.send(`llo${get()}`);
    await client.closed;
    expect(client.received().match(/HTTP\/1\.1 \d+|answer \d/g)).toEqual([
      "HTTP/1.1 200",
      "answer 1",
      "HTTP/1.1 200",
      "answer 2",
    ]);
  });

  test("with trailers gets 400, even after an answer: a limit", async () => {
    const head = get("Transfer-Encoding: chunked").replace("GET", "POST");
    const port = serve(async (request) => new Response(await request.text()));
    const received = await exchangeRaw(port, `${head}2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n`);
    // Here the handler has its whole body before Bun looks at the trailers.
    expect(received).toStartWith("HTTP/1.1 200 ");
    expect(received).toEndWith("hiHTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
  });

  test("that expects 100-continue gets it before the handler has answered: we do not forward Expect", async () => {
    const request = get("Expect: 100-continue", "Content-Length: 2").replace("GET", "POST");
    const answer = Promise.withResolvers<Response>();
    const client = await connectRaw(serve(() => answer.promise));
    client.send(request);
    expect(await client.until((text) => text.endsWith("\r\n\r\n"))).toBe(
      "HTTP/1.1 100 Continue\r\n\r\n",
    );
    client.send("hi");
    answer.resolve(new Response("ok"));
    await client.closed;
    expect(client.received()).toEndWith("ok");
  });

  test("of HTTP/1.0 that expects 100-continue gets it, too; in other cases of letters nobody does: limits", async () => {
    const post = get("Content-Length: 2").replace("GET", "POST");
    const port = serve(async (request) => new Response(await request.text()));
    const expecting = (value: string) => `${post.slice(0, -2)}Expect: ${value}\r\n\r\nhi`;
    const old = expecting("100-continue").replace("HTTP/1.1", "HTTP/1.0");
    expect(await exchangeRaw(port, old)).toStartWith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ");
    expect(await exchangeRaw(port, expecting("100-Continue"))).toStartWith("HTTP/1.1 200 ");
    expect(await exchangeRaw(port, expecting("other"))).toStartWith("HTTP/1.1 200 ");
  });

  test("whose client goes or shuts its sending side down aborts its signal: we cancel the backend's part", async () => {
    for (const leave of ["reset", "end", "halfClose"] as const) {
      const started = Promise.withResolvers<void>();
      const aborted = Promise.withResolvers<void>();
      const port = serve(async ({ signal }) => {
        signal.addEventListener("abort", () => aborted.resolve());
        started.resolve();
        await aborted.promise;
        return new Response("late");
      });
      const client = await connectRaw(port);
      client.send(get());
      await started.promise;
      client[leave]();
      await aborted.promise;
      await client.closed;
      expect(client.received()).toBe("");
    }
  });
});
