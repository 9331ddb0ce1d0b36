/** Responses over a real socket, good and broken ones, as the transport hands them on. */
import { describe, expect, test } from "bun:test";
import { ProxyError } from "../../src/errors.ts";
import { TransportError } from "../../src/transport/transport-error.ts";
import type { FakeReply, FakeWire } from "../_support/fake-backend.ts";
import {
  bodyless,
  errorOf,
  fetchText,
  readAll,
  ScriptedReader,
  transportTo,
  withBody,
} from "../_support/transport.ts";
import { useFakeBackends } from "../_support/fake-backends.ts";

const start = useFakeBackends();

const OK = "HTTP/1.1 200 OK\r\n";

describe("a response", () => {
  test("whose body came with its head is read at once, in one piece", async () => {
    for (const chunked of [false, true]) {
      const transport = transportTo(start(() => ({ body: "hello", chunked })));
      const response = await transport.send(bodyless()).response;
      expect(response).toMatchObject({ status: 200, bodyLength: chunked ? null : 5 });
      expect(transport.idleConnections).toBe(1);
      expect(await response.body?.read()).toEqual(Buffer.from("hello"));
      expect(await response.body?.read()).toBeNull();
      expect(await response.body?.read()).toBeNull();
    }
  });

  test("keeps its header fields as they are on the wire", async () => {
    const raw = [`${OK}X-B: \xe9\r\nset-cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n`];
    const response = await transportTo(start(() => ({ raw }))).send(bodyless()).response;
    expect(response.headers).toEqual([
      ["X-B", "\xe9"],
      ["set-cookie", "a"],
      ["Set-Cookie", "b"],
      ["Content-Length", "0"],
    ]);
    expect(response).toMatchObject({ body: null, bodyLength: 0 });
  });

  test("cut into single bytes arrives the same, and the connection is kept", async () => {
    const backend = start((request) => ({
      body: `for ${request.target}`,
      chunked: true,
      pieceBytes: 1,
    }));
    const transport = transportTo(backend);
    expect(await fetchText(transport, bodyless("GET", "/a"))).toEqual({
      status: 200,
      text: "for /a",
    });
    expect(await fetchText(transport, bodyless("GET", "/b"))).toEqual({
      status: 200,
      text: "for /b",
    });
    expect(backend.connections).toBe(1);
  });

  test("to HEAD, a 204 and a 304 has no body, and the connection is kept [E12, E13]", async () => {
    const replies: Record<string, FakeReply> = {
      "/head": { body: "x".repeat(1000) },
      "/head-chunked": { body: "x", chunked: true },
      "/204": { status: 204 },
      "/304": { status: 304, headers: [["Content-Length", "77"]] },
    };
    const backend = start((request) => replies[request.target]);
    const transport = transportTo(backend);
    const lengths: (number | null)[] = [];
    for (const target of Object.keys(replies)) {
      const method = target.startsWith("/head") ? "HEAD" : "GET";
      const response = await transport.send(bodyless(method, target)).response;
      expect(response.body).toBeNull();
      lengths.push(response.bodyLength);
    }
    expect(lengths).toEqual([1000, null, null, 77]);
    expect(backend.connections).toBe(1);
  });

  test("after interim ones is the final one [E20]", async () => {
    const hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
    const backend = start(() => ({
      raw: ["HTTP/1.1 100 Continue\r\n\r\n", hints, `${OK}Content-Length: 2\r\n\r\nok`],
    }));
    const transport = transportTo(backend);
    expect(await fetchText(transport, bodyless())).toEqual({ status: 200, text: "ok" });
    expect(transport.idleConnections).toBe(1);
  });

  test("without a length is complete with a FIN and broken with a reset [E11]", async () => {
    const fin = start(() => ({ raw: [`${OK}\r\n`, "to the end"], afterwards: "fin" }));
    const transport = transportTo(fin);
    expect(await fetchText(transport, bodyless())).toEqual({ status: 200, text: "to the end" });
    expect(transport.openConnections).toBe(0);

    const half = Promise.withResolvers<void>();
    const reset = start(async (_request, wire) => {
      await wire.write(`${OK}\r\nto the en`);
      await half.promise;
      wire.reset();
    });
    const response = await transportTo(reset).send(bodyless()).response;
    expect(String(await response.body?.read())).toBe("to the en");
    half.resolve();
    expect(await errorOf(readAll(response))).toMatchObject({
      code: "reset",
      outcome: "truncated",
      retry: "never",
    });
  });

  // The write that fails takes the reset with it, and Bun then tells of a clean end.
  test("without a length and with a reset under a request that is still being sent is broken [E11]", async () => {
    const backend = start({ answerAt: "head", handler: () => undefined });
    const body = new ScriptedReader();
    const exchange = transportTo(backend).send(withBody(body, null));
    await body.give("first");
    await backend.until(() => backend.requests[0]?.text === "first");
    await body.asked;
    const [wire] = backend.wires;
    void wire?.write(`${OK}\r\nto the en`);
    wire?.reset();
    await body.give("second");
    const response = await exchange.response.catch((error: Error) => error);
    const error = response instanceof Error ? response : await errorOf(readAll(response));
    expect(error).toMatchObject({ code: "reset", retry: "never" });
  });

  test.each([
    ["Content-Length", `${OK}Content-Length: 10\r\n\r\nhello`],
    ["in a chunk", `${OK}Transfer-Encoding: chunked\r\n\r\na\r\nhello`],
    ["after a chunk", `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`],
    ["in the last CRLF", `${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n`],
  ])(
    "cut short (%s) gives what there is and then breaks, by FIN and by reset [E09]",
    async (_where, sent) => {
      for (const how of ["fin", "reset"] as const) {
        const read = Promise.withResolvers<void>();
        const backend = start(async (_request, wire) => {
          await wire.write(sent);
          await read.promise;
          wire[how]();
        });
        const transport = transportTo(backend);
        const response = await transport.send(bodyless()).response;
        expect(String(await response.body?.read())).toBe("hello");
        read.resolve();
        const error = await errorOf(readAll(response));
        expect(error).toBeInstanceOf(TransportError);
        expect(error).toMatchObject({ code: "reset", outcome: "truncated", retry: "never" });
        expect(transport.openConnections).toBe(0);
      }
    },
  );

  test("cut short before its first body byte breaks as well [E10]", async () => {
    const backend = start(() => ({ raw: [`${OK}Content-Length: 10\r\n\r\n`], afterwards: "fin" }));
    const response = await transportTo(backend).send(bodyless()).response;
    expect(await errorOf(readAll(response))).toMatchObject({ outcome: "truncated" });
  });

  test.each([
    ["both framings", `${OK}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ["two lengths", `${OK}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!`],
    ["a folded line", `${OK}A: b\r\n c\r\n\r\n`],
    ["bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"],
    ["another protocol", "SSH-2.0-OpenSSH_9.2\r\n"],
    ["an upgrade nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"],
    ["an endless head", `${OK}X: ${"x".repeat(700_000)}`],
    ["endless interim responses", "HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000)],
  ])(
    "with %s is refused, and its connection closed [R01, R02, R06, R08, R09, R11, R12]",
    async (_what, sent) => {
      const ended = Promise.withResolvers<string>();
      const backend = start(async (_request, wire) => {
        await wire.write(sent);
        ended.resolve(await wire.closed);
      });
      const transport = transportTo(backend);
      const error = await errorOf(transport.send(bodyless()).response);
      expect(error).toBeInstanceOf(TransportError);
      expect(error).toMatchObject({
        code: "bad_response",
        outcome: "invalid",
        retry: "never",
        source: "backend",
      });
      expect(transport.openConnections).toBe(0);
      expect(await ended.promise).toBe("reset");
    },
  );

  test("with a malformed chunk breaks where it is malformed", async () => {
    const backend = start(() => ({
      raw: [`${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nNO\r\n`],
    }));
    const response = await transportTo(backend)
      .send(bodyless())
      .response.catch((error: Error) => error);
    // Both parts may come in one piece or in two; either way nothing looks complete.
    const error = response instanceof Error ? response : await errorOf(readAll(response));
    expect(error).toMatchObject({ code: "bad_response", outcome: "invalid", retry: "never" });
  });

  test.each([
    ["Content-Length", "GET", `${OK}Content-Length: 2\r\n\r\nok`],
    ["the last chunk", "GET", `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`],
    ["a 204", "GET", "HTTP/1.1 204 X\r\n\r\n"],
    ["a 304", "GET", "HTTP/1.1 304 X\r\n\r\n"],
    ["the answer to HEAD", "HEAD", `${OK}Content-Length: 2\r\n\r\n`],
  ])(
    "with bytes after %s is delivered clean, and they never reach another request [R04]",
    async (_what, method, message) => {
      const evil = `${OK}Content-Length: 4\r\n\r\nEVIL`;
      const backend = start((request) =>
        request.target === "/bad" ? { raw: [message + evil] } : request.target,
      );
      const transport = transportTo(backend);
      expect((await fetchText(transport, bodyless(method, "/bad"))).text).toBe(
        message.includes("ok") ? "ok" : "",
      );
      expect(transport.openConnections).toBe(0);
      expect(await fetchText(transport, bodyless("GET", "/canary"))).toEqual({
        status: 200,
        text: "/canary",
      });
    },
  );
});

describe("a reader that does not read", () => {
  const SIZE = 64 * 1024 * 1024;

  /** Sends `SIZE` bytes and counts what the kernel took. */
  async function flood(wire: FakeWire, sent: { bytes: number }): Promise<void> {
    await wire.write(`${OK}Content-Length: ${SIZE}\r\n\r\n`);
    const block = Buffer.alloc(256 * 1024, "x");
    for (let at = 0; at < SIZE && wire.end === null; at += block.length) {
      await wire.write(block);
      sent.bytes = at + block.length;
    }
  }

  test("holds the backend back, and gets everything when it reads [E02]", async () => {
    const sent = { bytes: 0 };
    const backend = start((_request, wire) => flood(wire, sent));
    const transport = transportTo(backend);
    const response = await transport.send(bodyless()).response;
    // Other traffic over the same event loop shows that time has passed without anything being read.
    const other = transportTo(start());
    let stoppedAt = -1;
    while (stoppedAt !== sent.bytes) {
      stoppedAt = sent.bytes;
      for (let i = 0; i < 300; i++) await fetchText(other, bodyless());
    }
    // What is out is in the kernel's two buffers, and one read of Bun's.
    expect(stoppedAt).toBeLessThan(16 * 1024 * 1024);

    let received = 0;
    for (let piece = await response.body?.read(); piece; piece = await response.body?.read())
      received += piece.length;
    expect(received).toBe(SIZE);
    expect(transport).toMatchObject({ openConnections: 1, idleConnections: 1 });
  });

  test("that cancels closes the connection, and the backend notices", async () => {
    const ended = Promise.withResolvers<string>();
    const backend = start(async (_request, wire) => {
      void flood(wire, { bytes: 0 });
      ended.resolve(await wire.closed);
    });
    const transport = transportTo(backend);
    const response = await transport.send(bodyless()).response;
    await response.body?.read();
    response.body?.cancel();
    response.body?.cancel();
    expect(await ended.promise).toBe("reset");
    expect(transport.openConnections).toBe(0);
  });

  test("that cancels while it waits is not left waiting, nor told that all went well", async () => {
    const backend = start(async (_request, wire) => {
      await wire.write(`${OK}Content-Length: 5\r\n\r\n`);
      return null;
    });
    const response = await transportTo(backend).send(bodyless()).response;
    const pending = response.body?.read() as Promise<Uint8Array | null>;
    response.body?.cancel();
    expect(await errorOf(pending)).toMatchObject({ code: "client_gone", source: "client" });
  });

  test("and cancels after all has arrived does not cost the connection", async () => {
    const backend = start(() => "hello");
    const transport = transportTo(backend);
    const response = await transport.send(bodyless()).response;
    response.body?.cancel();
    await fetchText(transport, bodyless());
    expect(backend.connections).toBe(1);
  });
});

describe("abort", () => {
  test("before the response rejects it with the reason, and the backend sees it", async () => {
    const ended = Promise.withResolvers<string>();
    const backend = start(async (_request, wire) => {
      ended.resolve(await wire.closed);
    });
    const transport = transportTo(backend);
    const exchange = transport.send(bodyless());
    await backend.seen(1);
    const reason = new Error("enough");
    exchange.abort(reason);
    expect(await errorOf(exchange.response)).toBe(reason);
    expect(await ended.promise).toBe("reset");
    expect(transport.openConnections).toBe(0);
  });

  test("in the middle of the body rejects the read that waits", async () => {
    const backend = start(async (_request, wire) => {
      await wire.write(`${OK}Content-Length: 10\r\n\r\nhello`);
      return null;
    });
    const exchange = transportTo(backend).send(bodyless());
    const response = await exchange.response;
    expect(String(await response.body?.read())).toBe("hello");
    const pending = response.body?.read() as Promise<Uint8Array | null>;
    const reason = new ProxyError("request_timeout", "too long", { source: "proxy" });
    exchange.abort(reason);
    expect(await errorOf(pending)).toBe(reason);
    expect(await errorOf(readAll(response))).toBe(reason);
  });

  test("after the end does nothing, not even to the next request on the connection", async () => {
    const release = Promise.withResolvers<void>();
    const backend = start(async (request) => {
      if (request.index === 1) await release.promise;
      return "ok";
    });
    const transport = transportTo(backend);
    const first = transport.send(bodyless());
    await readAll(await first.response);
    const second = fetchText(transport, bodyless());
    await backend.seen(2);
    first.abort(new Error("late"));
    release.resolve();
    expect(await second).toEqual({ status: 200, text: "ok" });
    expect(backend.connections).toBe(1);
  });

  test("with nobody listening is no unhandled rejection", async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => unhandled.push(reason);
    process.on("unhandledRejection", note);
    try {
      const backend = start(async (request, wire) => {
        if (request.target === "/body") await wire.write(`${OK}Content-Length: 10\r\n\r\nhello`);
        return null;
      });
      const transport = transportTo(backend);
      transport.send(bodyless()).abort(new Error("while connecting"));
      const silent = transport.send(bodyless("GET", "/silent"));
      const exchange = transport.send(bodyless("GET", "/body"));
      const response = await exchange.response;
      await response.body?.read();
      void response.body?.read();
      await backend.until(() => backend.requests.some(({ target }) => target === "/silent"));
      silent.abort(new Error("before the head"));
      exchange.abort(new Error("in the body"));
      backend.stop();
      // Unhandled rejections are reported when the microtasks are done; a round trip is far later.
      await fetchText(transportTo(start()), bodyless());
      expect(unhandled).toEqual([]);
    } finally {
      process.off("unhandledRejection", note);
    }
  });
});

describe("a silent backend", () => {
  test("does not answer: first-byte timeout, and the connection is closed", async () => {
    const ended = Promise.withResolvers<string>();
    const backend = start(async (_request, wire) => {
      ended.resolve(await wire.closed);
    });
    const transport = transportTo(backend, { firstByteMs: 40 });
    const error = await errorOf(transport.send(bodyless()).response);
    expect(error).toMatchObject({
      code: "first_byte_timeout",
      outcome: "timeout",
      retry: "idempotent",
    });
    expect(await ended.promise).toBe("reset");
    expect(transport.openConnections).toBe(0);
  });

  test("drips its head: the timeout does not start again with every byte", async () => {
    const backend = start(async (_request, wire) => {
      await wire.write(OK);
      while (wire.end === null) {
        await wire.write("X: a\r\n");
        await Bun.sleep(5);
      }
    });
    const error = await errorOf(
      transportTo(backend, { firstByteMs: 60 }).send(bodyless()).response,
    );
    expect(error).toMatchObject({ code: "first_byte_timeout", outcome: "timeout" });
  });

  test("falls silent in its body: the read breaks", async () => {
    const backend = start(async (_request, wire) => {
      await wire.write(`${OK}Content-Length: 10\r\n\r\nhello`);
      return null;
    });
    const response = await transportTo(backend, { idleMs: 40 }).send(bodyless()).response;
    expect(await errorOf(readAll(response))).toMatchObject({
      code: "idle_timeout",
      outcome: "timeout",
      retry: "never",
    });
  });

  test("that keeps on sending is not cut, however long it takes in all", async () => {
    const raw = [`${OK}Content-Length: 30\r\n\r\n`, ...Array.from({ length: 30 }, () => "x")];
    const backend = start(() => ({ raw, gapMs: 10 }));
    const { text } = await fetchText(
      transportTo(backend, { idleMs: 150, firstByteMs: 150 }),
      bodyless(),
    );
    expect(text).toBe("x".repeat(30));
  });

  test("may be silent in an event stream", async () => {
    const backend = start(async (_request, wire) => {
      await wire.write(`${OK}Content-Type: text/event-stream; charset=utf-8\r\n\r\ndata: 1\n\n`);
      const silence = transportTo(
        start(() => null),
        { firstByteMs: 100 },
      );
      await errorOf(silence.send(bodyless()).response);
      await wire.write("data: 2\n\n");
      wire.fin();
    });
    expect((await fetchText(transportTo(backend, { idleMs: 20 }), bodyless())).text).toBe(
      "data: 1\n\ndata: 2\n\n",
    );
  });

  test("is not to blame when nobody reads what it has to say", async () => {
    const body = Buffer.alloc(8 * 1024 * 1024, "x");
    const transport = transportTo(
      start(() => ({ body })),
      { idleMs: 20 },
    );
    const response = await transport.send(bodyless()).response;
    // A timeout of somebody else's: the time passes for certain, and nobody sleeps.
    await errorOf(
      transportTo(
        start(() => null),
        { firstByteMs: 100 },
      ).send(bodyless()).response,
    );
    expect((await readAll(response)).equals(body)).toBe(true);
  });
});
