/** What Bun.serve makes of our answers, shown on Bun alone: what we rely on, and what we guard against. */
import { describe, expect, test } from "bun:test";
import { bareGet as get, useBareFronts } from "../_support/bare-front.ts";
import { connectRaw } from "../_support/raw-client.ts";

const { answerTo, serve } = useBareFronts();
const HEAD = get().replace("GET", "HEAD");

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

describe("a body that goes through Bun.serve", () => {
  const PIECE = new Uint8Array(256 * 1024);
  const ENOUGH = 256;

  test("to a client that stops reading is not asked for any more, and goes on where it stopped: our backpressure", async () => {
    let pulls = 0;
    const source = {
      async pull(controller: ReadableStreamDefaultController) {
        if (pulls === ENOUGH) return controller.close();
        pulls++;
        controller.enqueue(PIECE);
      },
    };
    const port = serve(() => new Response(new ReadableStream(source, { highWaterMark: 0 })));
    const client = await connectRaw(port, { keep: false });
    client.send(get());
    client.pause();
    // The same number in many looks: nobody asks any more.
    for (let last = -1, same = 0; same < 20; same = pulls === last ? same + 1 : 0) {
      last = pulls;
      await Bun.sleep(10);
    }
    expect(pulls).toBeGreaterThan(0);
    expect(pulls).toBeLessThan(ENOUGH);
    client.resume();
    await client.closed;
    expect(client.receivedBytes()).toBeGreaterThan(ENOUGH * PIECE.length);
  });

  test("from a client stops coming when nobody reads it, and loses nothing: our backpressure", async () => {
    const bytes = 64 * 2 ** 20;
    const go = Promise.withResolvers<void>();
    const port = serve(async ({ body }) => {
      let read = 0;
      await go.promise;
      for await (const piece of body ?? []) read += piece.length;
      return new Response(String(read));
    });
    let sent = 0;
    const stalled = Promise.withResolvers<void>();
    const push = (socket: Bun.Socket): void => {
      while (sent < bytes) {
        const written = socket.write(PIECE.subarray(0, Math.min(PIECE.length, bytes - sent)));
        if (written <= 0) return stalled.resolve();
        sent += written;
      }
      stalled.resolve();
    };
    const answer = Promise.withResolvers<string>();
    await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open(socket) {
          socket.write(get(`Content-Length: ${bytes}`).replace("GET", "POST"));
          push(socket);
        },
        drain: push,
        data: (_socket, received) => answer.resolve(received.toString()),
      },
    });
    await stalled.promise;
    for (let last = -1, same = 0; same < 20; same = sent === last ? same + 1 : 0) {
      last = sent;
      await Bun.sleep(10);
    }
    expect(sent).toBeLessThan(bytes);
    go.resolve();
    expect(await answer.promise).toEndWith(`\r\n\r\n${bytes}`);
  });

  test.each(["reset", "end"] as const)(
    "is cancelled when its client goes away (%s), even while nothing is sent: we end the backend's part",
    async (leave) => {
      const cancelled = Promise.withResolvers<void>();
      let pulls = 0;
      const source = {
        pull(controller: ReadableStreamDefaultController) {
          if (++pulls > 1) return new Promise<void>(() => {});
          controller.enqueue(Buffer.from("begun"));
          return undefined;
        },
        cancel: () => cancelled.resolve(),
      };
      const port = serve(() => new Response(new ReadableStream(source, { highWaterMark: 0 })));
      const client = await connectRaw(port);
      client.send(get());
      await client.until((text) => text.includes("begun"));
      client[leave]();
      await cancelled.promise;
    },
  );

  test("to an HTTP/1.0 client ends with the connection; if it fails, with a reset: we rely on it", async () => {
    const ends = async (fail: boolean) => {
      let pulls = 0;
      const source = {
        async pull(controller: ReadableStreamDefaultController) {
          await new Promise((resolve) => setImmediate(resolve));
          if (++pulls === 1) controller.enqueue(Buffer.from("abcd"));
          else if (fail) controller.error(new Error("broken"));
          else controller.close();
        },
      };
      const stream = () => new Response(new ReadableStream(source, { highWaterMark: 0 }));
      const client = await connectRaw(serve(stream));
      client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
      return [await client.closed, client.received().split("\r\n\r\n")[1]];
    };
    expect(await ends(false)).toEqual(["fin", "abcd"]);
    expect((await ends(true))[0]).toBe("reset");
  });

  test("is whole for a client that asks for the connection's end, and what it sent behind that is not answered", async () => {
    let handled = 0;
    const received = await answerTo(`${get()}${get()}`, () => new Response(`answer ${++handled}`));
    expect(received.match(/answer \d/g)).toEqual(["answer 1"]);
  });
});
