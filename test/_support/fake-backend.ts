/**
 * A scriptable HTTP backend over raw TCP: a handler per request decides every byte that goes back, and when and how
 * the connection ends. It records what arrived and refuses (and notes) what a strict server would refuse.
 *
 *     const backend = await startFakeBackend((request) => ({ body: `hello ${request.target}` }));
 *     const slow = await startFakeBackend({ handler: () => ({ delayMs: 50, body: "late" }), answerAt: "head" });
 */
import type { Socket, TCPSocketListener, UnixSocketListener } from "bun";
import { FakeRequest, RequestBodyReader } from "./fake-request.ts";
import { FakeWire } from "./fake-wire.ts";

export type { FakeRequest } from "./fake-request.ts";
export type { FakeWire } from "./fake-wire.ts";

export interface FakeReply {
  /** Default 200. */
  readonly status?: number;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: string | Uint8Array;
  /** Chunked instead of Content-Length. */
  readonly chunked?: boolean;
  /** Everything, byte by byte, in place of the fields above; one write per piece. Text is latin-1. */
  readonly raw?: readonly (string | Uint8Array)[];
  /** Wait before the first byte. */
  readonly delayMs?: number;
  /** Cut what is sent into pieces of this many bytes, each its own write, with `gapMs` between them. */
  readonly pieceBytes?: number;
  readonly gapMs?: number;
  /** Send only this many bytes. */
  readonly cutAfter?: number;
  /** What happens to the connection afterwards. Default: it is kept. */
  readonly afterwards?: "keep" | "fin" | "reset";
}

/** Null: never answer. Undefined: the handler wrote everything itself. Text: a 200 with that body. */
export type FakeAnswer = FakeReply | string | null | undefined | void;
export type FakeHandler = (
  request: FakeRequest,
  wire: FakeWire,
) => FakeAnswer | Promise<FakeAnswer>;

export interface FakeBackendOptions {
  readonly handler?: FakeHandler;
  /** Default 0: any. A fixed one is for a restart on the same address. */
  readonly port?: number;
  /** Default 127.0.0.1. */
  readonly hostname?: string;
  /** Listen on a unix socket in place of a port. */
  readonly unix?: string;
  /** When the handler runs: the request's head is there, or (default) its whole body too. */
  readonly answerAt?: "head" | "body";
  /** False: request bodies are counted but not kept. Default true. */
  readonly keepBodies?: boolean;
  /** A connection was accepted; it may be paused, written to, ended. */
  readonly onConnect?: (wire: FakeWire) => void;
}

export function startFakeBackend(how: FakeHandler | FakeBackendOptions = {}): FakeBackend {
  const backend = new FakeBackend(typeof how === "function" ? { handler: how } : how);
  backend.start();
  return backend;
}

export class FakeBackend {
  /** May be replaced at any time. */
  handler: FakeHandler;
  /** In the order in which their heads were complete. */
  readonly requests: FakeRequest[] = [];
  /** What a strict server would have refused, and why. Tests expect it empty. */
  readonly refused: string[] = [];
  /** Connections accepted so far. */
  connections = 0;
  /** Requests whose head was seen and whose answer is not sent yet. */
  concurrent = 0;
  maxConcurrent = 0;

  readonly #options: FakeBackendOptions;
  readonly #sessions = new Set<Session>();
  #listener: TCPSocketListener<unknown> | UnixSocketListener<unknown> | null = null;
  #port: number;
  #waiters: { check: () => boolean; resolve: () => void }[] = [];

  constructor(options: FakeBackendOptions) {
    this.#options = options;
    this.#port = options.port ?? 0;
    this.handler = options.handler ?? (() => "ok");
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    const { unix, hostname = "127.0.0.1" } = this.#options;
    if (unix !== undefined) return `unix:${unix}`;
    return `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${this.#port}`;
  }

  get address(): { hostname: string; port: number } | { unix: string } {
    const { unix, hostname = "127.0.0.1" } = this.#options;
    return unix === undefined ? { hostname, port: this.#port } : { unix };
  }

  get openConnections(): number {
    return this.#sessions.size;
  }

  get wires(): FakeWire[] {
    return [...this.#sessions].map((session) => session.wire);
  }

  /** Listens (again, on the same port). */
  start(): void {
    const socket = {
      open: (opened: Socket<Session>) => {
        const session = new Session(this, this.#options, new FakeWire(this.connections++, opened));
        opened.data = session;
        this.#sessions.add(session);
        this.#options.onConnect?.(session.wire);
        this.changed();
      },
      data: (socket: Socket<Session>, bytes: Buffer) => socket.data.onData(bytes),
      drain: (socket: Socket<Session>) => socket.data.wire.flush(),
      end: (socket: Socket<Session>) => {
        socket.data.onGone("fin");
        socket.end();
      },
      close: (socket: Socket<Session>, error?: Error) => {
        this.#sessions.delete(socket.data);
        socket.data.onGone(error === undefined ? "fin" : "reset");
        this.changed();
      },
      error: (_socket: Socket<Session>, error: Error) => {
        this.refused.push(`the fake backend itself failed: ${error.stack ?? error.message}`);
      },
    };
    const { unix, hostname = "127.0.0.1" } = this.#options;
    const shared = { socket, allowHalfOpen: true, data: undefined as unknown as Session };
    if (unix !== undefined) {
      this.#listener = Bun.listen<Session>({ ...shared, unix }) as UnixSocketListener<unknown>;
      return;
    }
    const listener = Bun.listen<Session>({ ...shared, hostname, port: this.#port });
    this.#port = listener.port;
    this.#listener = listener as TCPSocketListener<unknown>;
  }

  /** Refuses new connections and resets those that are open. `start` brings it back. */
  stop(): void {
    this.#listener?.stop();
    this.#listener = null;
    for (const session of this.#sessions) session.wire.reset();
  }

  /** Resolves as soon as `check` is true; it is asked again whenever anything happens here. */
  until(check: () => boolean): Promise<void> {
    if (check()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push({ check, resolve });
    });
  }

  /** The heads of this many requests have arrived. */
  seen(count: number): Promise<void> {
    return this.until(() => this.requests.length >= count);
  }

  /** Something happened that somebody may wait for. */
  changed(): void {
    if (this.#waiters.length === 0) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) {
      if (waiter.check()) waiter.resolve();
      else this.#waiters.push(waiter);
    }
  }

  requestStarted(): void {
    this.concurrent++;
    this.maxConcurrent = Math.max(this.maxConcurrent, this.concurrent);
  }
}

const END_OF_HEAD = Buffer.from("\r\n\r\n");

/** One connection: takes requests off the wire, one after the other. */
class Session {
  readonly wire: FakeWire;
  readonly #backend: FakeBackend;
  readonly #options: FakeBackendOptions;
  /** Bytes that no request has claimed yet. */
  #pending: Buffer = Buffer.alloc(0);
  #request: FakeRequest | null = null;
  #body: RequestBodyReader | null = null;
  #answered = false;

  constructor(backend: FakeBackend, options: FakeBackendOptions, wire: FakeWire) {
    this.#backend = backend;
    this.#options = options;
    this.wire = wire;
  }

  onData(bytes: Buffer): void {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    this.#advance();
    this.#backend.changed();
  }

  onGone(end: "fin" | "reset"): void {
    const request = this.#request;
    if (request !== null && !request.complete) request.brokenOff ??= end;
    if (request !== null && !this.#answered) {
      this.#answered = true;
      this.#backend.concurrent--;
    }
    this.wire.gone(end);
    this.#backend.changed();
  }

  #advance(): void {
    try {
      while (this.#pending.length > 0) {
        if (this.#request === null && !this.#takeHead()) return;
        if (this.#request !== null && !this.#takeBody(this.#request)) return;
      }
    } catch (error) {
      this.#backend.refused.push(error instanceof Error ? error.message : String(error));
      this.wire.reset();
    }
  }

  #takeHead(): boolean {
    const end = this.#pending.indexOf(END_OF_HEAD);
    if (end === -1) return false;
    const { requests } = this.#backend;
    const request = new FakeRequest(
      requests.length,
      this.wire.index,
      this.#pending.subarray(0, end + 4),
    );
    this.#pending = this.#pending.subarray(end + 4);
    requests.push(request);
    this.#request = request;
    this.#body = new RequestBodyReader(request);
    this.#answered = false;
    this.#backend.requestStarted();
    if (this.#options.answerAt === "head") void this.#respond(request);
    if (this.#body.done) this.#complete(request);
    return true;
  }

  /** False: nothing more can be done with the bytes at hand. */
  #takeBody(request: FakeRequest): boolean {
    const body = this.#body as RequestBodyReader;
    const keep = this.#options.keepBodies ?? true;
    if (!body.done) {
      const used = body.push(this.#pending, (piece) => request.addBody(piece, keep));
      if (keep) request.addRaw(this.#pending.subarray(0, used));
      this.#pending = this.#pending.subarray(used);
      if (body.done) this.#complete(request);
    }
    // The next request waits until this one is answered.
    return this.#request === null;
  }

  #complete(request: FakeRequest): void {
    request.complete = true;
    if (this.#options.answerAt !== "head") void this.#respond(request);
    this.#next();
  }

  async #respond(request: FakeRequest): Promise<void> {
    try {
      const answer = await this.#backend.handler(request, this.wire);
      if (answer === null) return;
      const reply = typeof answer === "string" ? { body: answer } : answer;
      if (reply !== undefined) await send(reply, request, this.wire);
    } catch (error) {
      this.#backend.refused.push(
        `the handler failed: ${error instanceof Error ? error.stack : String(error)}`,
      );
      this.wire.reset();
    }
    if (!this.#answered) {
      this.#answered = true;
      this.#backend.concurrent--;
    }
    this.#next();
    this.#advance();
    this.#backend.changed();
  }

  #next(): void {
    if (this.#answered && this.#request?.complete) this.#request = null;
  }
}

async function send(reply: FakeReply, request: FakeRequest, wire: FakeWire): Promise<void> {
  if (reply.delayMs !== undefined) await Bun.sleep(reply.delayMs);
  let pieces: Buffer[] = (reply.raw ?? [rendered(reply, request)]).map((piece) =>
    typeof piece === "string" ? Buffer.from(piece, "latin1") : Buffer.from(piece),
  );
  if (reply.cutAfter !== undefined) pieces = [Buffer.concat(pieces).subarray(0, reply.cutAfter)];
  if (reply.pieceBytes !== undefined) pieces = cut(Buffer.concat(pieces), reply.pieceBytes);
  for (const [index, piece] of pieces.entries()) {
    if (index > 0 && reply.gapMs !== undefined) await Bun.sleep(reply.gapMs);
    await wire.write(piece);
  }
  if (reply.afterwards === "fin") wire.fin();
  else if (reply.afterwards === "reset") wire.reset();
}

function rendered(reply: FakeReply, request: FakeRequest): Buffer {
  const { status = 200, headers = [], chunked = false } = reply;
  const body =
    typeof reply.body === "string" ? Buffer.from(reply.body) : Buffer.from(reply.body ?? "");
  const lines = [
    `HTTP/1.1 ${status} Scripted`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
  ];
  const bodyless = status === 204 || status === 304;
  const framed = headers.some(([name]) => /^(content-length|transfer-encoding)$/i.test(name));
  if (!bodyless && !framed)
    lines.push(chunked ? "Transfer-Encoding: chunked" : `Content-Length: ${body.length}`);
  const head = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  if (bodyless || request.method === "HEAD") return head;
  if (!chunked) return Buffer.concat([head, body]);
  const chunk =
    body.length === 0
      ? []
      : [Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from("\r\n")];
  return Buffer.concat([head, ...chunk, Buffer.from("0\r\n\r\n")]);
}

function cut(bytes: Buffer, size: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}
