/**
 * What our front relies on in `onNodeHTTPRequest`, the undeclared hook of Bun.serve under node:http: each
 * against Bun itself, so that a new version of it is judged by running this file.
 */
import { afterEach, describe, expect, test } from "bun:test";
import {
  GONE,
  HAS_TRANSFER_ENCODING,
  type NativeDispatch,
  type NativeResponse,
  type NativeSocket,
  NO_BODY,
  WRITE_CONNECTION_CLOSE,
  WRITE_DATE,
} from "../../src/proxy/native-hook.ts";
import { connectRaw, type RawConnection } from "../_support/raw-client.ts";

interface Seen {
  readonly target: string;
  readonly method: string;
  readonly bits: number;
  readonly response: NativeResponse;
  readonly hasBody: boolean;
  readonly socket: NativeSocket<object>;
  readonly known: object | undefined;
  readonly ancient: boolean;
  readonly pipelined: boolean;
}

const stops: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** A server that hands each request to `take`, in the tick of its dispatch. */
function serve(take: (seen: Seen) => void) {
  const dispatch: NativeDispatch<object> = (
    _server,
    target,
    method,
    bits,
    response,
    hasBody,
    socket,
    _isNew,
    known,
    ancient,
    _head,
    pipelined,
  ) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    response.onabort = () => resolve();
    take({ target, method, bits, response, hasBody, socket, known, ancient, pipelined });
    return pipelined ? undefined : promise;
  };
  const options = {
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    idleTimeout: 0,
    onNodeHTTPRequest: dispatch,
  };
  const server = Bun.serve(options as unknown as Bun.Serve.Options<undefined>);
  stops.push(() => server.stop(true));
  return server as { readonly port: number; readonly pendingRequests: number };
}

function reply({ response }: Seen, text: string, fields: string[] = [], auto = 0): number {
  return response.writeHeadAndEnd(200, "OK", fields, Buffer.from(text), undefined, undefined, auto);
}

async function connected(port: number, sent: string): Promise<RawConnection> {
  const client = await connectRaw(port);
  client.send(sent);
  return client;
}

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

describe("a request", () => {
  test("comes with its target and its lines as they were sent, and with the connection's object", async () => {
    const seen: Seen[] = [];
    const lines: (string[] | undefined)[] = [];
    let address: string | undefined;
    const server = serve((each) => {
      seen.push(each);
      lines.push(each.response.takeRawHeaders());
      each.socket.duplex ??= { mine: true };
      address ??= each.socket.remoteAddress?.address;
      reply(each, "ok");
    });
    const client = await connected(
      server.port,
      `GET http://b/x/../y?'#z HTTP/1.1\r\nHost: a\r\nX-m: caf\xe9\r\nX-M: 2\r\n\r\n`,
    );
    await client.until((text) => text.endsWith("ok"));
    client.send("GET /old HTTP/1.0\r\n\r\n");
    await client.closed;
    expect(seen.map(({ target }) => target)).toEqual(["http://b/x/../y?'#z", "/old"]);
    expect(lines).toEqual([["Host", "a", "X-m", "caf\xe9", "X-M", "2"], undefined]);
    expect(seen.map(({ known }) => known)).toEqual([undefined, { mine: true }]);
    expect(seen.map(({ ancient }) => ancient)).toEqual([false, true]);
    expect(address).toBe("127.0.0.1");
  });

  test("hands on its body, of a GET too, and tells of its end only behind the trailers", async () => {
    const told: [string, boolean, number][] = [];
    const server = serve((each) => {
      each.response.ondata = (bytes, isLast, event) => {
        told.push([Buffer.from(bytes ?? []).toString(), isLast, event]);
        if (isLast) reply(each, "ok");
      };
    });
    const client = await connected(
      server.port,
      "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T",
    );
    await connected(server.port, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").then(
      (other) => other.until((text) => text.endsWith("ok")),
    );
    expect(told).toEqual([
      ["hello", false, 0],
      ["hi", true, 0],
    ]);
    client.send(": v\r\n\r\n");
    await client.until((text) => text.endsWith("ok"));
    expect(told.at(-1)).toEqual(["", true, 0]);
  });

  test.each(["zz\r\n", "0\r\nno trailer\r\n\r\n"])(
    "whose body turns to nonsense (%j) is answered by Bun, and we hear that its client is gone",
    async (rest) => {
      const told: [boolean, number][] = [];
      const server = serve((each) => {
        each.response.ondata = (_bytes, isLast, event) => told.push([isLast, event]);
      });
      const client = await connected(
        server.port,
        `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n${rest}`,
      );
      expect(await client.closed).toBe("fin");
      expect(client.received()).toStartWith("HTTP/1.1 400 ");
      expect(told).toEqual([
        [false, 0],
        [true, GONE],
      ]);
    },
  );

  test("with an unknown coding reaches us as if it were chunked, and Bun refuses it after that", async () => {
    const seen: Seen[] = [];
    const server = serve((each) => void seen.push(each));
    const client = await connected(
      server.port,
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    );
    await client.closed;
    expect(client.received()).toStartWith("HTTP/1.1 400 ");
    expect(seen.map(({ hasBody, bits }) => [hasBody, bits & HAS_TRANSFER_ENCODING])).toEqual([
      [true, HAS_TRANSFER_ENCODING],
    ]);
  });

  test("is held back by pause, with a body of any size", async () => {
    const size = 64 * 2 ** 20;
    let received = 0;
    const ended = Promise.withResolvers<void>();
    const server = serve((each) => {
      each.response.ondata = (bytes, isLast) => {
        received += bytes?.length ?? 0;
        if (isLast) return ended.resolve();
        each.response.pause();
        setImmediate(() => each.response.resume());
      };
    });
    let most = 0;
    const client = await connected(
      server.port,
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`,
    );
    const watch = setInterval(() => {
      most = Math.max(most, process.memoryUsage.rss());
    }, 5);
    const before = process.memoryUsage.rss();
    for (let sent = 0; sent < size; sent += 2 ** 20) client.send(new Uint8Array(2 ** 20));
    await ended.promise;
    clearInterval(watch);
    expect(received).toBe(size);
    // The client, in this process, holds all of it once.
    expect(most - before).toBeLessThan(3 * size);
    client.reset();
  });
});

describe("an answer", () => {
  test.each([
    [[], WRITE_DATE, /^HTTP\/1\.1 200 OK\r\nDate: [^\r]+\r\nContent-Length: 2\r\n\r\nok$/],
    [["Content-Length", "2"], 0, /^HTTP\/1\.1 200 OK\r\nContent-Length: 2\r\n\r\nok$/],
    [["X-A", "1", "x-a", "2"], 0, /\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 2\r\n\r\nok$/],
    [[], WRITE_CONNECTION_CLOSE, /\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok$/],
  ])("has these fields, and none beside them (%j, %d)", async (fields, auto, expected) => {
    const server = serve((each) => void reply(each, "ok", [...fields], auto));
    const client = await connected(server.port, GET);
    expect(await client.until((text) => text.endsWith("ok"))).toMatch(expected);
    client.reset();
  });

  test.each([
    ["HEAD", 200, ["Content-Length", "1000", ...NO_BODY], "Content-Length: 1000\r\n"],
    ["HEAD", 200, [...NO_BODY], ""],
    ["GET", 204, [...NO_BODY], ""],
    ["GET", 304, ["Content-Length", "7", ...NO_BODY], "Content-Length: 7\r\n"],
    ["GET", 205, [], "Content-Length: 0\r\n"],
    ["GET", 200, ["Content-Length", "0"], "Content-Length: 0\r\n"],
  ] as const)(
    "to %s with %d and without a body has its framing (%j)",
    async (method, status, fields, framing) => {
      const server = serve(({ response }) => {
        response.writeHeadAndEnd(status, "R", [...fields], undefined, undefined, undefined, 0);
      });
      const client = await connected(server.port, GET.replace("GET", method));
      const received = await client.until((text) => text.endsWith("\r\n\r\n"));
      expect(received).toBe(`HTTP/1.1 ${status} R\r\n${framing}\r\n`);
      client.reset();
    },
  );

  test("goes out head first, keeps its Content-Length, and is chunked without one", async () => {
    for (const [fields, body] of [
      [["Content-Length", "4"], "abcd"],
      [[], "2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"],
    ] as const) {
      const seen = Promise.withResolvers<void>();
      const server = serve(async ({ response }) => {
        response.writeHead(200, "OK", [...fields], 0);
        response.flushHeaders();
        await seen.promise;
        response.write(Buffer.from("ab"));
        response.write(Buffer.from("cd"));
        response.end();
      });
      const client = await connected(server.port, GET);
      await client.until((text) => text.endsWith("\r\n\r\n"));
      seen.resolve();
      await client.until((text) => text.endsWith(`\r\n\r\n${body}`));
      client.reset();
    }
  });

  test("tells what its client has no room for, and when there is room again", async () => {
    const state: number[] = [];
    const drained = Promise.withResolvers<void>();
    const server = serve(({ response }) => {
      response.writeHead(200, "OK", ["Content-Length", String(64 * 2 ** 20)], 0);
      while (response.write(new Uint8Array(2 ** 20)) >= 0);
      state.push(response.bufferedAmount);
      response.onwritable = () => {
        state.push(response.bufferedAmount);
        drained.resolve();
      };
    });
    const client = await connectRaw(server.port, { keep: false });
    client.send(GET);
    client.resume();
    await drained.promise;
    expect(state[0]).toBeGreaterThan(0);
    expect(state[1]).toBe(0);
    client.reset();
  });

  test("that is broken off is seen so: a reset ends it with a RST, in the middle and at the head", async () => {
    const told: number[] = [];
    const server = serve(async ({ response, socket }) => {
      response.onabort = (event) => void told.push(event);
      response.writeHead(200, "OK", [], 0);
      response.flushHeaders();
      await Bun.sleep(0);
      socket.reset();
    });
    const client = await connected(server.port, GET);
    expect(await client.closed).toBe("reset");
    expect(told).toEqual([GONE]);
  });

  test("ends the connection behind its last byte, and nothing more is answered", async () => {
    const server = serve((each) => {
      reply(each, "last");
      each.socket.stopParsing();
      each.socket.closeWhenDrained();
    });
    const client = await connected(server.port, `${GET}nonsense\r\n\r\n`);
    expect(await client.closed).toBe("fin");
    expect(client.received().match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(client.received()).toEndWith("\r\n\r\nlast");
  });
});

describe("requests behind a pending one", () => {
  test("are handed over as such, and answered when their turn has come", async () => {
    const seen: Seen[] = [];
    const server = serve((each) => void seen.push(each));
    const client = await connected(server.port, GET.repeat(3));
    while (seen.length < 3) await Bun.sleep(1);
    expect(seen.map(({ pipelined }) => pipelined)).toEqual([false, true, true]);
    expect(server.pendingRequests).toBe(3);
    for (const [index, each] of seen.entries()) {
      if (index > 0)
        expect(each.socket.startPipelinedResponse(each.response, false, false)).toBeTrue();
      reply(each, `n${index}`);
    }
    const received = await client.until((text) => text.endsWith("n2"));
    expect([...received.matchAll(/n\d/g)].map(String)).toEqual(["n0", "n1", "n2"]);
    client.reset();
  });

  test("are not looked at any more after stopParsing, in the same packet already", async () => {
    let dispatched = 0;
    const sixth = Promise.withResolvers<void>();
    const server = serve((each) => {
      if (++dispatched === 5) each.socket.stopParsing();
      if (dispatched === 6) sixth.resolve();
    });
    const client = await connected(server.port, GET.repeat(1000));
    const other = await connected(server.port, GET);
    await sixth.promise;
    expect(dispatched).toBe(6);
    client.reset();
    other.reset();
  });
});

test("a client that resets while nothing is read from it is noticed", async () => {
  const gone = Promise.withResolvers<number>();
  const dispatched = Promise.withResolvers<void>();
  const server = serve(({ response }) => {
    response.onabort = gone.resolve;
    response.pause();
    dispatched.resolve();
  });
  const client = await connected(server.port, GET);
  await dispatched.promise;
  client.reset();
  expect(await gone.promise).toBe(GONE);
});

test("without the hook and without fetch Bun.serve is a TypeError, which our front takes for its absence", () => {
  expect(() => Bun.serve({ port: 0 } as unknown as Bun.Serve.Options<undefined>)).toThrow(
    TypeError,
  );
});
