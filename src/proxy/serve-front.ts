/** The front over Bun.serve. The only file of the request path that knows Bun's Request and Response. */
import { isIP } from "node:net";
import type { SocketAddress } from "../config/config.ts";
import type { ByteReader } from "../transport/byte-reader.ts";
import type { Front, FrontAnswer, FrontRequest, Handler } from "./front.ts";
import { asksToClose } from "./headers.ts";
import { inPieces } from "./pieces.ts";
import type { StallWatch } from "./stall-watch.ts";
import { announcesBody } from "./validation.ts";

export interface ServeFrontOptions {
  readonly address: SocketAddress;
  readonly stalls: StallWatch;
}

type Server = Bun.Server<undefined>;

/** An idle keep-alive connection of a client is closed after this many seconds (nginx: 75). */
const KEEP_ALIVE_SECONDS = 75;
/**
 * The same once a body was streamed. Bun counts from its last write, and a steady reader at 20 KB/s
 * needs 200 s for the 4 MB that the kernel may hold by then; 255 is the most Bun takes.
 */
const STREAMED_KEEP_ALIVE_SECONDS = 255;
/** Any value up to 4 ends the connection at Bun's next sweep. */
const END_NOW_SECONDS = 1;

/** Throws what Bun.serve throws (`EADDRINUSE`, `EACCES`). */
export function serveFront(options: ServeFrontOptions): Front {
  const { address, stalls } = options;
  const first = Promise.withResolvers<Handler>();
  let handler: Handler | null = null;
  let closing = false;
  const underWay = new Set<Request>();

  const shared = {
    development: false,
    // Each pool has its own limit, which a reload may change; this one could not follow.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    async fetch(request: Request, server: Server): Promise<Response> {
      // The answer may take longer than an idle connection may live: our own timers watch over it.
      server.timeout(request, 0);
      underWay.add(request);
      const handle = handler ?? (await first.promise);
      const answer = await handle(new ServeRequest(request, server));
      const { body } = answer;
      const done = (): void => void underWay.delete(request);
      const streamed = body !== null && !(body instanceof Uint8Array);
      if (!streamed) done();
      const watched = streamed ? { ...answer, body: withEnd(body, done) } : answer;
      const close = closing || asksToClose(request.headers);
      return toResponse(watched, request, server, stalls, close);
    },
    error(): Response {
      return new Response(null, { status: 500 });
    },
  };
  const server: Server =
    "unix" in address
      ? Bun.serve({ ...shared, unix: address.unix })
      : Bun.serve({
          ...shared,
          hostname: address.hostname,
          port: address.port,
          reusePort: true,
          idleTimeout: KEEP_ALIVE_SECONDS,
        });

  return {
    setHandler(next) {
      handler = next;
      first.resolve(next);
    },
    closeConnections() {
      closing = true;
      server.closeIdleConnections();
    },
    stop: () => server.stop(),
    kill() {
      void server.stop(true);
    },
    port: server.port ?? null,
    host: "unix" in address ? null : onlyAddress(address.hostname),
    *underWay() {
      for (const request of underWay) {
        const peer = server.requestIP(request);
        if (peer === null) underWay.delete(request);
        else yield peer;
      }
    },
    get pendingRequests() {
      return server.pendingRequests;
    },
  };
}

/** Connections to a wildcard's or a name's listener may have any local address. */
function onlyAddress(hostname: string): string | null {
  return isIP(hostname) === 0 || hostname === "0.0.0.0" || hostname === "::" ? null : hostname;
}

class ServeRequest implements FrontRequest {
  readonly method: string;
  readonly scheme = "http";
  readonly target: string;
  readonly headers: Headers;
  readonly port: number | null;
  readonly #request: Request;
  readonly #server: Server;
  #body: ByteReader | null | undefined;

  constructor(request: Request, server: Server) {
    this.#request = request;
    this.#server = server;
    this.method = request.method;
    this.target = originForm(request.url);
    this.headers = request.headers;
    this.port = server.port ?? null;
  }

  get peerAddress(): string {
    return this.#server.requestIP(this.#request)?.address ?? "";
  }

  get body(): ByteReader | null {
    // Asking Bun for the body of a request that has none costs a tenth of the request's CPU time.
    if (this.#body === undefined) this.#body = announcesBody(this.headers) ? this.#open() : null;
    return this.#body;
  }

  #open(): ByteReader | null {
    const { body, signal } = this.#request;
    if (body === null) return null;
    const reader = readerOf(body);
    return this.headers.has("transfer-encoding") ? wellEnded(reader, signal) : reader;
  }

  onGone(callback: () => void): void {
    const { signal } = this.#request;
    if (signal.aborted) callback();
    else signal.addEventListener("abort", callback, { once: true });
  }
}

/** Path and query of what Bun gives: an absolute URL when there is a Host, else the target as sent. */
function originForm(url: string): string {
  const afterScheme = url.startsWith("/") ? -1 : url.indexOf("://");
  const start = afterScheme < 0 ? 0 : url.indexOf("/", afterScheme + 3);
  if (start < 0 || !url.startsWith("/", start)) return url;
  // Bun leaves a fragment on the URL; a request target has none (RFC 9112, 3.2).
  const end = url.indexOf("#", start);
  return canonical(end < 0 ? url.slice(start) : url.slice(start, end));
}

/**
 * Bun resolves dot segments and percent-encodes only if it can parse the Host (not `1.2.3.4.5`). Routes
 * must see one form, or `/public/../private` would pass for public; and the request line is written
 * byte by byte, where U+010A would become a line feed.
 */
function canonical(target: string): string {
  if (!/\/\.|%2e|\\|[^\x21-\x7e]/i.test(target)) return target;
  const { pathname, search } = new URL(`http://localhost${target}`);
  return `${pathname}${search}`;
}

function readerOf(stream: ReadableStream<Uint8Array>): ByteReader {
  const reader = stream.getReader();
  return {
    async read() {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return null;
        if (value.length > 0) return value;
      }
    },
    cancel() {
      reader.cancel().catch(() => {});
    },
  };
}

/** Calls back when nothing more will be read, whatever the reason. */
function withEnd(reader: ByteReader, onEnd: () => void): ByteReader {
  return {
    read: () =>
      reader.read().then(
        (bytes) => {
          if (bytes === null) onEnd();
          return bytes;
        },
        (error: unknown) => {
          onEnd();
          throw error;
        },
      ),
    cancel() {
      onEnd();
      reader.cancel();
    },
  };
}

/**
 * Bun tells of the last chunk before it has read on: trailers, which it refuses, or bytes that are no end
 * of a message (RFC 9112, 7.1). It answers 400 and aborts in the same turn of the loop. Until that is over
 * the body does not count as whole, or a backend would act on what its client is told was refused.
 */
function wellEnded(reader: ByteReader, signal: AbortSignal): ByteReader {
  return {
    async read() {
      const bytes = await reader.read();
      if (bytes !== null) return bytes;
      await new Promise((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
      return null;
    },
    cancel: () => reader.cancel(),
  };
}

function toResponse(
  answer: FrontAnswer,
  request: Request,
  server: Server,
  stalls: StallWatch,
  closing: boolean,
): Response {
  const { body, status } = answer;
  const headers = toHeaders(answer, closing);
  if (body === null) {
    server.timeout(request, KEEP_ALIVE_SECONDS);
    if (request.method !== "HEAD" || headers.has("content-length")) {
      return new Response(null, { status, headers });
    }
    // A null body would add `content-length: 0` to an answer whose length the backend left open.
    return new Response(emptyStream(), { status, headers });
  }
  if (body instanceof Uint8Array) {
    server.timeout(request, KEEP_ALIVE_SECONDS);
    // Bun invents a Content-Type for bytes that have none or an empty one, but not for a stream.
    const sent = headers.get("content-type") ? body : wholeStream(body);
    return new Response(sent as Uint8Array<ArrayBuffer> | ReadableStream, { status, headers });
  }
  return new Response(streamOf(inPieces(body), answer.idleMs, request, server, stalls), {
    status,
    headers,
  });
}

function toHeaders(answer: FrontAnswer, closing: boolean): Headers {
  const headers = new Headers();
  for (const [name, value] of answer.headers) headers.append(name, value);
  if (closing) headers.set("connection", "close");
  return headers;
}

/** Must not be asked before the head is written, or Bun knows that it is empty. */
function emptyStream(): ReadableStream<Uint8Array> {
  const source = {
    pull(controller: ReadableStreamDefaultController) {
      controller.close();
    },
  };
  return new ReadableStream(source, { highWaterMark: 0 });
}

/**
 * Written and ended in one tick, and with room for all of it, a direct stream keeps its
 * Content-Length (Bun 1.4.5; above the default high-water mark of 16 KiB it is chunked).
 */
function wholeStream(bytes: Uint8Array): ReadableStream {
  const source = {
    type: "direct" as const,
    pull(controller: ReadableStreamDirectController) {
      void controller.write(bytes as Uint8Array<ArrayBuffer>);
      void controller.end();
    },
  };
  return new ReadableStream(source, { highWaterMark: bytes.length + 1 });
}

function streamOf(
  body: ByteReader,
  idleMs: number | null,
  request: Request,
  server: Server,
  stalls: StallWatch,
): ReadableStream<Uint8Array> {
  // Runs only while the client owes us room, not while we wait for the backend.
  const stalled = (): void => {
    body.cancel();
    server.timeout(request, END_NOW_SECONDS);
  };
  let watch: ReturnType<StallWatch["watch"]> | null = null;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        watch?.stop();
        const bytes = await body.read();
        if (bytes === null) {
          server.timeout(request, STREAMED_KEEP_ALIVE_SECONDS);
          controller.close();
          return;
        }
        if (idleMs !== null) watch = stalls.watch(idleMs, stalled);
        controller.enqueue(bytes);
      },
      cancel() {
        watch?.stop();
        body.cancel();
      },
    },
    { highWaterMark: 0 },
  );
}
