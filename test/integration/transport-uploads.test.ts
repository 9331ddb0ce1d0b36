import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { ProxyError } from "../../src/errors.ts";
import type { ByteReader } from "../../src/transport/byte-reader.ts";
import type { FakeBackend } from "../_support/fake-backend.ts";
import {
  bodyless,
  errorOf,
  fetchText,
  PiecesReader,
  readAll,
  ScriptedReader,
  transportTo,
  withBody,
} from "../_support/transport.ts";
import { useFakeBackends } from "../_support/fake-backends.ts";

const start = useFakeBackends();

const OK = "HTTP/1.1 200 OK\r\n";

describe("a request body", () => {
  test.each([
    ["with its length", 11],
    ["chunked", null],
  ])("%s arrives byte for byte, and the connection is kept", async (_how, length) => {
    const backend = start((request) => request.text);
    const transport = transportTo(backend);
    for (let i = 0; i < 3; i++) {
      const body = new PiecesReader(["hello ", "", "there"]);
      expect((await fetchText(transport, withBody(body, length))).text).toBe("hello there");
    }
    expect(backend.connections).toBe(1);
    expect(backend.refused).toEqual([]);
  });

  test("that is empty is still a whole request", async () => {
    const backend = start((request) => `${request.complete} ${request.bodyLength}`);
    const transport = transportTo(backend);
    expect((await fetchText(transport, withBody(new PiecesReader([]), 0))).text).toBe("true 0");
    expect((await fetchText(transport, withBody(new PiecesReader([]), null))).text).toBe("true 0");
    expect((await fetchText(transport, withBody(new PiecesReader(["", ""]), null))).text).toBe(
      "true 0",
    );
    expect(backend.connections).toBe(1);
    expect(backend.refused).toEqual([]);
  });

  test("does not hold back the head [E01]", async () => {
    const backend = start({ answerAt: "head", handler: () => null });
    const body = new ScriptedReader();
    const exchange = transportTo(backend).send(withBody(body, null));
    await backend.seen(1);
    expect(body.taken).toBe(0);
    await body.give("first");
    await backend.until(() => backend.requests[0]?.text === "first");
    exchange.abort(new Error("done"));
    await errorOf(exchange.response);
  });

  test("of 8 MiB to a backend that reads slowly arrives whole, and is asked for only as fast as it goes out", async () => {
    const block = Buffer.alloc(64 * 1024, "0123456789abcdef");
    const blocks = 128;
    let given = 0;
    let most = 0;
    const backend: FakeBackend = start({
      keepBodies: true,
      onConnect: (wire) => {
        wire.pause();
        setTimeout(() => wire.resume(), 100);
      },
      handler: (request) => createHash("sha256").update(request.body).digest("hex"),
    });
    const body: ByteReader = {
      async read() {
        if (given === blocks) return null;
        given++;
        most = Math.max(most, given * block.length - (backend.requests[0]?.bodyLength ?? 0));
        return block;
      },
      cancel() {},
    };
    const transport = transportTo(backend);
    const { text } = await fetchText(transport, withBody(body, blocks * block.length));
    const hash = createHash("sha256");
    for (let i = 0; i < blocks; i++) hash.update(block);
    expect(text).toBe(hash.digest("hex"));
    // The kernel's buffers hold some MiB; had the reader been drained at once, it would be all 8.
    expect(most).toBeLessThan(blocks * block.length);
    expect(transport.idleConnections).toBe(1);
  });

  test("larger than the kernel's buffers is written in parts (partial writes)", async () => {
    const bytes = Buffer.alloc(8 * 1024 * 1024, "0123456789abcdef");
    for (const length of [bytes.length, null]) {
      const backend = start((request) => String(request.body.equals(bytes)));
      const { text } = await fetchText(
        transportTo(backend),
        withBody(new PiecesReader([bytes]), length),
      );
      expect(text).toBe("true");
      expect(backend.refused).toEqual([]);
    }
  });

  test("streams while the response streams [E25]", async () => {
    const backend = start({
      answerAt: "head",
      handler: async (request, wire) => {
        await wire.write(`${OK}Transfer-Encoding: chunked\r\n\r\n`);
        for (let echoed = 0; echoed < 3; echoed++) {
          await backend.until(() => request.bodyLength > echoed);
          await wire.write(`1\r\n${request.text[echoed]}\r\n`);
        }
        await backend.until(() => request.complete);
        await wire.write("0\r\n\r\n");
      },
    });
    const transport = transportTo(backend);
    const body = new ScriptedReader();
    const response = await transport.send(withBody(body, null)).response;
    for (const letter of "abc") {
      await body.give(letter);
      expect(String(await response.body?.read())).toBe(letter);
    }
    await body.give(null);
    expect(await response.body?.read()).toBeNull();
    expect(transport.idleConnections).toBe(1);
  });
});

describe("a request body that breaks", () => {
  test.each([
    ["with its length", 100],
    ["chunked", null],
  ])(
    "(%s) never looks complete to the backend, and its connection is gone [E07]",
    async (_how, length) => {
      const backend = start({ answerAt: "head", handler: () => null });
      const transport = transportTo(backend);
      const body = new ScriptedReader();
      const exchange = transport.send(withBody(body, length));
      await body.give("some");
      await backend.until(() => backend.requests[0]?.bodyLength === 4);
      await body.give(new Error("the client reset its connection"));
      expect(await errorOf(exchange.response)).toMatchObject({
        code: "client_gone",
        source: "client",
      });
      await backend.until(() => backend.requests[0]?.brokenOff === "reset");
      expect(backend.requests[0]?.complete).toBe(false);
      expect(transport.openConnections).toBe(0);
    },
  );

  test("rejects with the reader's own error when that is ours", async () => {
    const tooLarge = new ProxyError("body_too_large", "too large", { source: "client" });
    const body = new PiecesReader(["some", tooLarge]);
    expect(await errorOf(transportTo(start()).send(withBody(body, null)).response)).toBe(tooLarge);
  });

  test.each([
    ["shorter", ["abc"], 4],
    ["shorter (nothing)", [], 4],
    ["longer", ["abcde"], 4],
    ["longer (with its second piece)", ["abcd", "e"], 4],
    ["longer (than nothing)", ["e"], 0],
  ])(
    "%s than its Content-Length is refused, and not a byte too many goes out",
    async (what, pieces, length) => {
      const backend = start({ answerAt: "head", handler: () => null });
      const transport = transportTo(backend);
      const error = await errorOf(
        transport.send(withBody(new PiecesReader(pieces), length)).response,
      );
      expect(error).toMatchObject({ code: "bad_request", source: "client", retry: "never" });
      expect(error.message).toContain(what.split(" ")[0] as string);
      expect(transport.openConnections).toBe(0);
      await backend.until(() => backend.openConnections === 0);
      expect(backend.requests.every(({ bodyLength }) => bodyLength <= length)).toBe(true);
      expect(backend.refused).toEqual([]);
    },
  );

  test("after the response began breaks the response too", async () => {
    const backend = start({
      answerAt: "head",
      handler: async (_request, wire) => {
        await wire.write(`${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n`);
        return null;
      },
    });
    const body = new ScriptedReader();
    const response = await transportTo(backend).send(withBody(body, null)).response;
    expect(String(await response.body?.read())).toBe("ok");
    await body.give(new Error("gone"));
    expect(await errorOf(readAll(response))).toMatchObject({
      code: "client_gone",
      source: "client",
    });
    await backend.until(() => backend.requests[0]?.brokenOff === "reset");
  });

  test("by an abort in the middle is cancelled, and the backend sees the request break off", async () => {
    const backend = start({ answerAt: "head", handler: () => null });
    const body = new ScriptedReader();
    const exchange = transportTo(backend).send(withBody(body, 10));
    await body.give("some");
    await backend.until(() => backend.requests[0]?.bodyLength === 4);
    const reason = new Error("enough");
    exchange.abort(reason);
    expect(await errorOf(exchange.response)).toBe(reason);
    expect(body.cancelled).toBe(true);
    await backend.until(() => backend.requests[0]?.brokenOff === "reset");
  });
});

describe("an answer before the request is whole [E06]", () => {
  test("is delivered; the upload is stopped and the connection not used again", async () => {
    const backend = start({
      answerAt: "head",
      handler: (request) =>
        request.method === "POST" ? { status: 413, body: "too much" } : "next",
    });
    const transport = transportTo(backend);
    const body = new ScriptedReader();
    const answered = fetchText(transport, withBody(body, 1_000_000));
    await body.give("a beginning");
    expect(await answered).toEqual({ status: 413, text: "too much" });
    expect(body.cancelled).toBe(true);
    expect(transport.openConnections).toBe(0);
    expect((await fetchText(transport, bodyless())).text).toBe("next");
    expect(backend.connections).toBe(2);
    expect(backend.requests[0]?.complete).toBe(false);
  });

  test("while its body still comes, the upload goes on", async () => {
    const backend = start({
      answerAt: "head",
      handler: async (request, wire) => {
        await wire.write(`${OK}Content-Length: 4\r\n\r\nab`);
        await backend.until(() => request.complete);
        await wire.write("cd");
      },
    });
    const transport = transportTo(backend);
    const body = new ScriptedReader();
    const response = await transport.send(withBody(body, 6)).response;
    await body.give("upl");
    await body.give("oad");
    expect((await readAll(response)).toString()).toBe("abcd");
    expect(backend.requests[0]?.text).toBe("upload");
    expect(transport.idleConnections).toBe(1);
  });

  test("and then a FIN instead of reading on still gives the answer", async () => {
    const backend = start({
      answerAt: "head",
      handler: () => ({
        status: 413,
        body: "too much",
        headers: [["Connection", "close"]],
        afterwards: "fin",
      }),
    });
    const body = new ScriptedReader();
    expect(await fetchText(transportTo(backend), withBody(body, null))).toEqual({
      status: 413,
      text: "too much",
    });
    expect(body.cancelled).toBe(true);
  });
});

describe("time, while a request is sent", () => {
  test("a client that stops in the middle is to blame itself", async () => {
    const backend = start({ answerAt: "head", handler: () => null });
    const body = new ScriptedReader();
    const exchange = transportTo(backend, { idleMs: 40, firstByteMs: 40 }).send(withBody(body, 10));
    await body.give("some");
    expect(await errorOf(exchange.response)).toMatchObject({
      code: "body_timeout",
      source: "client",
    });
    await backend.until(() => backend.requests[0]?.brokenOff === "reset");
  });

  test("a slow upload that goes on does not run into the first-byte timeout", async () => {
    const backend = start((request) => request.text);
    const body: ByteReader = {
      async read() {
        given++;
        await Bun.sleep(10);
        return given > 30 ? null : Buffer.from("x");
      },
      cancel() {},
    };
    let given = 0;
    const { text } = await fetchText(
      transportTo(backend, { firstByteMs: 150, idleMs: 150 }),
      withBody(body, null),
    );
    expect(text).toBe("x".repeat(30));
  });

  test("a backend that stops reading in the middle runs into the first-byte timeout", async () => {
    const backend = start({ answerAt: "head", onConnect: (wire) => wire.pause() });
    const body = new PiecesReader([Buffer.alloc(32 * 1024 * 1024)]);
    const error = await errorOf(
      transportTo(backend, { firstByteMs: 60 }).send(withBody(body, null)).response,
    );
    expect(error).toMatchObject({
      code: "first_byte_timeout",
      outcome: "timeout",
      source: "backend",
    });
  });
});
