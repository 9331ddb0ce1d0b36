/**
 * What Bun does that we rely on, or guard against, shown on Bun alone. A new version of Bun is judged
 * by running this file: where a test fails, the code that the name speaks of has to be looked at.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { fullBacklog } from "../_support/full-backlog.ts";
import { connectRaw, exchangeRaw } from "../_support/raw-client.ts";

const running: { stop(): unknown }[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.stop()));
});

/** A front that answers by this function; its port. */
function serve(fetch: (request: Request) => Response | Promise<Response>): number {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, development: false, fetch });
  running.push({ stop: () => server.stop(true) });
  return server.port as number;
}

/** Sends these bytes to such a front; resolves with all that came back until the connection's end. */
async function answerTo(request: string, answer: () => Response): Promise<string> {
  return exchangeRaw(serve(answer), request);
}

function get(...fields: string[]): string {
  return ["GET / HTTP/1.1", "Host: a.example", "Connection: close", ...fields, "", ""].join("\r\n");
}

const HEAD = get().replace("GET", "HEAD");

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

  test("whose client goes or shuts its sending side down aborts its signal: we cancel the backend's part", async () => {
    for (const leave of ["reset", "end"] as const) {
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
      expect(client.received()).toBe("");
    }
  });
});

describe("two requests at once on a connection of Bun.serve", () => {
  const two = `${get().replace("Connection: close\r\n", "")}${get()}`;

  test("are both answered, in order, by a synchronous handler", async () => {
    let count = 0;
    const received = await answerTo(two, () => new Response(`answer ${++count}`));
    expect(received.match(/answer \d/g)).toEqual(["answer 1", "answer 2"]);
  });

  test("end the connection unanswered while the first is pending: a limit", async () => {
    const never = new Promise<Response>(() => {});
    expect(
      await exchangeRaw(
        serve(() => never),
        two,
      ),
    ).toBe("");
  });
});

describe("an answer of Bun.serve", () => {
  const length = { "content-length": "8" };

  /** A stream of two pieces; what comes after the first happens when the client has seen it. */
  async function streamed(
    then: (controller: ReadableStreamDefaultController) => void,
  ): Promise<string> {
    const go = Promise.withResolvers<void>();
    let pulls = 0;
    const source = {
      async pull(controller: ReadableStreamDefaultController) {
        if (++pulls === 1) return controller.enqueue(Buffer.from("abcd"));
        await go.promise;
        then(controller);
      },
    };
    const client = await connectRaw(
      serve(
        () => new Response(new ReadableStream(source, { highWaterMark: 0 }), { headers: length }),
      ),
    );
    client.send(get());
    await client.until((text) => text.includes("abcd"));
    go.resolve();
    await client.closed;
    return client.received();
  }

  test("that is a stream loses its Content-Length: we collect small bodies", async () => {
    const received = await streamed((controller) => {
      controller.enqueue(Buffer.from("efgh"));
      controller.close();
    });
    expect(received).not.toMatch(/content-length/i);
    expect(received).toMatch(/\r\nTransfer-Encoding: chunked\r\n/i);
    expect(received).toEndWith("4\r\nabcd\r\n4\r\nefgh\r\n0\r\n\r\n");
  });

  test("whose stream fails has no last chunk: we rely on it to show a broken body", async () => {
    const received = await streamed((controller) => controller.error(new Error("broken")));
    expect(received).toEndWith("4\r\nabcd\r\n");
  });

  test("whose stream fails before its first byte is no whole answer: we rely on it", async () => {
    const source = {
      async pull(controller: ReadableStreamDefaultController) {
        // In the same turn of the loop Bun would print it.
        await new Promise((resolve) => setImmediate(resolve));
        controller.error(new Error("broken"));
      },
    };
    const received = await answerTo(
      get(),
      () => new Response(new ReadableStream(source, { highWaterMark: 0 }), { headers: length }),
    );
    expect(received).not.toContain("0\r\n\r\n");
    expect(received).not.toMatch(/content-length/i);
  });

  function direct(bytes: number, highWaterMark?: number): Response {
    const source = {
      type: "direct" as const,
      pull(controller: ReadableStreamDirectController) {
        void controller.write(new Uint8Array(bytes));
        void controller.end();
      },
    };
    const room = highWaterMark === undefined ? {} : { highWaterMark };
    const headers = { "content-length": String(bytes) };
    return new Response(new ReadableStream(source, room), { headers });
  }

  test("that is a direct stream with room for all keeps its length, with no Content-Type: we rely on it", async () => {
    const received = await answerTo(get(), () => direct(100_000, 100_001));
    expect(received).toMatch(/\r\ncontent-length: 100000\r\n/i);
    expect(received).not.toMatch(/transfer-encoding|content-type/i);
    expect(received).toEndWith(`\r\n\r\n${"\0".repeat(100_000)}`);
  });

  test("that is a direct stream without that room is chunked: why we ask for it", async () => {
    const received = await answerTo(get(), () => direct(100_000));
    expect(received).toMatch(/\r\nTransfer-Encoding: chunked\r\n/i);
  });

  test("that is bytes gets a Content-Type invented: we use a direct stream", async () => {
    const received = await answerTo(get(), () => new Response(new Uint8Array(3)));
    expect(received).toMatch(/\r\ncontent-type: application\/octet-stream\r\n/i);
  });

  test("to a HEAD with a null body says Content-Length: 0, unless it is given one", async () => {
    const bare = await answerTo(HEAD, () => new Response(null));
    const given = await answerTo(HEAD, () => new Response(null, { headers: length }));
    expect(bare).toMatch(/\r\ncontent-length: 0\r\n/i);
    expect(given.match(/content-length: \d+/gi)).toEqual(["content-length: 8"]);
  });

  test("to a HEAD with a stream has no Content-Length: what we do when the backend gave none", async () => {
    const source = { pull: (controller: ReadableStreamDefaultController) => controller.close() };
    const received = await answerTo(
      HEAD,
      () => new Response(new ReadableStream(source, { highWaterMark: 0 })),
    );
    expect(received).not.toMatch(/content-length/i);
  });

  test("to a 304 keeps its Content-Length, to a 204 it is dropped: we rely on it", async () => {
    const unchanged = await answerTo(
      get(),
      () => new Response(null, { status: 304, headers: length }),
    );
    const empty = await answerTo(get(), () => new Response(null, { status: 204, headers: length }));
    expect(unchanged.match(/content-length: \d+/gi)).toEqual(["content-length: 8"]);
    expect(empty).not.toMatch(/content-length|transfer-encoding/i);
  });

  test("that is a buffer with an empty Content-Type gets a second one: leave the empty one to a stream", async () => {
    const received = await answerTo(
      get(),
      () => new Response("ok", { headers: { "content-type": "" } }),
    );
    expect(received.match(/content-type: *\S*/gi)).toHaveLength(2);
  });

  test("has a reason phrase of Bun's, and no Transfer-Encoding of ours: limits", async () => {
    const init = { status: 299, statusText: "Mine", headers: { "transfer-encoding": "gzip" } };
    const received = await answerTo(get(), () => new Response("ok", init));
    expect(received).toStartWith("HTTP/1.1 299 HM\r\n");
    expect(received).not.toMatch(/transfer-encoding/i);
  });

  test("keeps Set-Cookie lines apart and joins other repeated ones: we rely on it", async () => {
    const headers: [string, string][] = ["1", "2"].flatMap((value): [string, string][] => [
      ["set-cookie", `c=${value}`],
      ["x-many", value],
    ]);
    const received = await answerTo(get(), () => new Response("ok", { headers }));
    expect(received.match(/set-cookie: .*/gi)).toEqual(["set-cookie: c=1", "set-cookie: c=2"]);
    expect(received.match(/x-many: .*/gi)).toEqual(["x-many: 1, 2"]);
  });
});

describe("the port of a Bun.serve", () => {
  const options = { hostname: "127.0.0.1", fetch: () => new Response("ok") };

  function bindTwice(how: { development?: boolean; reusePort?: boolean }): () => number {
    const first = Bun.serve({ ...options, ...how, port: 0 });
    running.push({ stop: () => first.stop(true) });
    const port = first.port as number;
    return () => {
      const second = Bun.serve({ ...options, ...how, port });
      running.push({ stop: () => second.stop(true) });
      return (second.port as number) - port;
    };
  }

  const taken = expect.objectContaining({ code: "EADDRINUSE" });

  // Elsewhere SO_REUSEPORT means something else, and leastwise has one worker there.
  test.skipIf(process.platform !== "linux")(
    "is shared without a word with reusePort: the master probes the address first",
    () => {
      expect(bindTwice({ reusePort: true, development: false })()).toBe(0);
    },
  );

  test.skipIf(process.platform !== "linux")(
    "is shared with `development: false` alone, too: say `reusePort: false` where one server is meant",
    () => {
      expect(bindTwice({ development: false })()).toBe(0);
      expect(bindTwice({ development: false, reusePort: false })).toThrow(taken);
    },
  );

  test("is refused to a Bun.listen even if it is shared: the probe that the master makes", () => {
    const server = Bun.serve({ ...options, port: 0, reusePort: true, development: false });
    running.push({ stop: () => server.stop(true) });
    const port = server.port as number;
    expect(() =>
      Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } }).stop(true),
    ).toThrow(taken);
  });
});

describe("a socket of Bun.connect", () => {
  const BYTES = 16 * 2 ** 20;

  interface Peer {
    readonly port: number;
    readonly socket: Promise<Bun.Socket>;
    received(): number;
    /** Resolves when the other side has ended, cleanly or not. */
    readonly gone: Promise<unknown>;
  }

  function listen(open: (socket: Bun.Socket) => void = () => {}): Peer {
    const accepted = Promise.withResolvers<Bun.Socket>();
    const gone = Promise.withResolvers<unknown>();
    let received = 0;
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open(socket) {
          open(socket);
          accepted.resolve(socket);
        },
        data(_socket, bytes) {
          received += bytes.length;
        },
        close: (_socket, error) => gone.resolve(error),
      },
    });
    running.push({ stop: () => listener.stop(true) });
    const { port } = listener;
    return { port, socket: accepted.promise, received: () => received, gone: gone.promise };
  }

  const pauseIt = (socket: Bun.Socket): void => void socket.pause();

  test("takes part of a large write; the rest is ours to write at drain: we keep it", async () => {
    const peer = listen(pauseIt);
    const bytes = new Uint8Array(BYTES);
    let sent = 0;
    const firstWrite = Promise.withResolvers<number>();
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: peer.port,
      socket: {
        open(opened) {
          sent = opened.write(bytes);
          firstWrite.resolve(sent);
        },
        data() {},
        drain(opened) {
          sent += opened.write(bytes.subarray(sent));
          if (sent === BYTES) opened.shutdown();
        },
      },
    });
    const first = await firstWrite.promise;
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThan(BYTES);
    (await peer.socket).resume();
    await peer.gone;
    expect(peer.received()).toBe(BYTES);
    socket.terminate();
    expect(socket.write("x")).toBe(-1);
  });

  test("loses what end(data) could not send: we never give end() data", async () => {
    const peer = listen(pauseIt);
    const written = Promise.withResolvers<number>();
    await Bun.connect({
      hostname: "127.0.0.1",
      port: peer.port,
      socket: {
        open: (opened) => written.resolve(opened.end(new Uint8Array(BYTES))),
        data() {},
        // Without this handler the connection is not even closed afterwards.
        drain() {},
      },
    });
    expect(await written.promise).toBeLessThan(BYTES);
    (await peer.socket).resume();
    await peer.gone;
    expect(peer.received()).toBe(await written.promise);
  });

  test("that is paused stops its sender, and loses nothing when resumed: our backpressure", async () => {
    let sent = 0;
    const bytes = new Uint8Array(BYTES);
    const push = (socket: Bun.Socket): void => {
      while (sent < BYTES) {
        const written = socket.write(bytes.subarray(sent));
        if (written <= 0) return;
        sent += written;
      }
      socket.shutdown();
    };
    const stopped = Promise.withResolvers<void>();
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket) {
          push(socket);
          stopped.resolve();
        },
        drain: push,
      },
    });
    running.push({ stop: () => listener.stop(true) });
    let received = 0;
    const ended = Promise.withResolvers<void>();
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: listener.port,
      socket: {
        data(_socket, piece) {
          received += piece.length;
        },
        end: () => ended.resolve(),
        close: () => ended.resolve(),
      },
    });
    socket.pause();
    socket.write("go");
    await stopped.promise;
    expect(sent).toBeLessThan(BYTES);
    expect(received).toBe(0);
    socket.resume();
    await ended.promise;
    expect(received).toBe(BYTES);
  });

  test("hands out bytes that it never writes to again: we keep them without a copy", async () => {
    const peer = listen();
    const pieces: Buffer[] = [];
    const third = Promise.withResolvers<void>();
    await Bun.connect({
      hostname: "127.0.0.1",
      port: peer.port,
      socket: {
        data(socket, bytes) {
          pieces.push(bytes);
          if (pieces.length === 3) third.resolve();
          else socket.write("more");
        },
      },
    });
    const other = await peer.socket;
    other.reload({ socket: { data: (socket) => void socket.write(`piece ${pieces.length}`) } });
    other.write("piece 0");
    await third.promise;
    expect(pieces.map((bytes) => bytes.toString())).toEqual(["piece 0", "piece 1", "piece 2"]);
    expect(new Set(pieces.map((bytes) => bytes.buffer)).size).toBe(3);
  });

  test("says ECONNRESET in close, not in error, when the peer resets: we tell it from FIN there", async () => {
    const peer = listen((socket) => void socket.terminate());
    const closed = Promise.withResolvers<unknown>();
    const errors: unknown[] = [];
    await Bun.connect({
      hostname: "127.0.0.1",
      port: peer.port,
      socket: {
        data() {},
        error: (_socket, error) => void errors.push(error),
        close: (_socket, error) => closed.resolve(error),
      },
    });
    expect(await closed.promise).toMatchObject({ code: "ECONNRESET" });
    expect(errors).toEqual([]);
  });

  test("says nothing in close after a clean end: a length that is missing is ours to notice", async () => {
    const peer = listen((socket) => void socket.end());
    const closed = Promise.withResolvers<unknown>();
    await Bun.connect({
      hostname: "127.0.0.1",
      port: peer.port,
      socket: { data() {}, close: (_socket, error) => closed.resolve(error) },
    });
    expect(await closed.promise).toBeUndefined();
  });

  test("rejects with ECONNREFUSED where nobody listens: what a retry of any method rests on", async () => {
    const dead = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const { port } = dead;
    dead.stop(true);
    const connecting = Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
    await expect(connecting).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  test("ignores a connect timeout: we race a timer", async () => {
    const backlog = await fullBacklog();
    try {
      const options = { ...backlog.address, socket: { data() {} }, timeout: 50 };
      const connecting = Bun.connect(options).then(
        (socket) => {
          socket.terminate();
          return "settled";
        },
        () => "settled",
      );
      const late = Bun.sleep(200).then(() => "pending");
      expect(await Promise.race([connecting, late])).toBe("pending");
    } finally {
      backlog.stop();
    }
  });
});
