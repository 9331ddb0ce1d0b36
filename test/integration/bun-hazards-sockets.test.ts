/** What sockets of Bun.connect do, shown on Bun alone: what our side to the backends relies on, or guards against. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { useBareFronts } from "../_support/bare-front.ts";
import { fullBacklog } from "../_support/full-backlog.ts";

const { add } = useBareFronts();
const CHILD = join(import.meta.dir, "../_support/bare-connect-child.ts");

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
    add({ stop: () => listener.stop(true) });
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
    add({ stop: () => listener.stop(true) });
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

  test("that is ended loses the answer that is still to come; one that is shut down gets it: we close when all is said", async () => {
    const heard = async (leave: "end" | "shutdown") => {
      const listener = Bun.listen({
        hostname: "127.0.0.1",
        port: 0,
        allowHalfOpen: true,
        socket: {
          data() {},
          end(socket) {
            socket.write("answer");
            socket.end();
          },
        },
      });
      add({ stop: () => listener.stop(true) });
      const closed = Promise.withResolvers<string>();
      let text = "";
      const socket = await Bun.connect({
        hostname: "127.0.0.1",
        port: listener.port,
        socket: {
          data: (_socket, bytes) => void (text += bytes.toString()),
          close: () => closed.resolve(text),
        },
      });
      socket.write("question");
      socket[leave]();
      return closed.promise;
    };
    expect(await heard("end")).toBe("");
    expect(await heard("shutdown")).toBe("answer");
  });

  test("may write once more when the other side has ended, and is closed after that: an answer ends the exchange", async () => {
    const peer = listen((socket) => void socket.shutdown());
    const closed = Promise.withResolvers<number>();
    let atEnd = 0;
    await Bun.connect({
      hostname: "127.0.0.1",
      port: peer.port,
      socket: {
        data() {},
        end(socket) {
          atEnd = socket.write("last words");
        },
        close: (socket) => closed.resolve(socket.write("too late")),
      },
    });
    expect(await closed.promise).toBe(-1);
    await peer.gone;
    expect(peer.received()).toBe(atEnd);
    expect(atEnd).toBe("last words".length);
  });

  test("has an `fd`, which the types leave out: we look at it before a connection is used again", async () => {
    const peer = listen();
    const sockets = await Promise.all(
      [1, 2].map(() =>
        Bun.connect({ hostname: "127.0.0.1", port: peer.port, socket: { data() {} } }),
      ),
    );
    const descriptors = sockets.map((socket) => (socket as unknown as { fd: unknown }).fd);
    for (const each of descriptors) expect(each).toBeGreaterThan(2);
    expect(new Set(descriptors).size).toBe(2);
  });

  // Windows has no limit of descriptors to lower.
  test.skipIf(process.platform === "win32")(
    "says ECONNREFUSED when there is no descriptor left: we try one of our own before we blame a backend",
    async () => {
      const peer = listen();
      const child = Bun.spawn(
        ["sh", "-c", 'ulimit -n 80; exec "$@"', "sh", process.execPath, CHILD, `${peer.port}`],
        { stdin: "ignore", stdout: "pipe", stderr: "inherit" },
      );
      expect(JSON.parse(await child.stdout.text())).toEqual({
        without: "ECONNREFUSED",
        after: null,
      });
    },
  );
});
