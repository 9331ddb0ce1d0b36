/** Backends for bodies too large to keep: they only count. */

export interface Source {
  readonly url: string;
  /** Body bytes that the kernel took, over all answers. */
  sent(): number;
  stop(): void;
}

/** Answers every request with this many bytes, as fast as they are taken. */
export function startSource(bytes: number): Source {
  const piece = new Uint8Array(256 * 1024).fill(120);
  let sent = 0;
  const pump = (socket: Bun.Socket<{ left: number }>): void => {
    while (socket.data.left > 0) {
      const wanted = Math.min(piece.length, socket.data.left);
      const written = Math.max(0, socket.write(piece.subarray(0, wanted)));
      socket.data.left -= written;
      sent += written;
      if (written < wanted) return;
    }
  };
  const server = Bun.listen<{ left: number }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { left: 0 };
      },
      data(socket) {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`);
        socket.data.left = bytes;
        pump(socket);
      },
      drain: pump,
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    sent: () => sent,
    stop: () => server.stop(true),
  };
}

export interface Sink {
  readonly url: string;
  /** Body bytes of the current request. */
  received(): number;
  /** SHA-256 of the last whole body. */
  digest(): string;
  /** The next request is not read before `resume`. */
  restart(): void;
  resume(): void;
  stop(): void;
}

/** Takes one large body after the other, and answers how it was framed when it is whole. */
export function startSink(): Sink {
  let received = 0;
  let digest = "";
  let go = Promise.withResolvers<void>();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    idleTimeout: 0,
    maxRequestBodySize: 2 ** 40,
    async fetch(request) {
      await go.promise;
      const reader = request.body?.getReader();
      const hasher = new Bun.CryptoHasher("sha256");
      for (;;) {
        const piece = await reader?.read();
        if (piece === undefined || piece.done) break;
        received += piece.value.length;
        hasher.update(piece.value);
      }
      digest = hasher.digest("hex");
      return new Response(request.headers.has("content-length") ? "content-length" : "chunked");
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    received: () => received,
    digest: () => digest,
    restart() {
      received = 0;
      go = Promise.withResolvers();
    },
    resume: () => go.resolve(),
    stop: () => void server.stop(true),
  };
}
