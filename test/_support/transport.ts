import type { SocketAddress } from "../../src/config/config.ts";
import { BackendTransport } from "../../src/transport/backend-transport.ts";
import type { ByteReader } from "../../src/transport/byte-reader.ts";
import type { BackendResponse, OutgoingRequest } from "../../src/transport/exchange.ts";
import { openSocketCalls, type SocketCalls } from "../../src/transport/socket-calls.ts";

export interface TransportSettings {
  readonly connectMs?: number;
  readonly firstByteMs?: number;
  readonly idleMs?: number;
  readonly maxIdle?: number;
  readonly keepMs?: number;
  readonly maxAgeMs?: number | null;
  /** Default: those of this system. */
  readonly socketCalls?: SocketCalls | null;
  readonly now?: () => number;
  readonly onConnectionsChange?: (open: number, idle: number) => void;
}

/** A transport to this backend; everything that is not named is too long to matter. */
export function transportTo(
  backend: { readonly address: SocketAddress },
  settings: TransportSettings = {},
): BackendTransport {
  return new BackendTransport({
    socketCalls: settings.socketCalls === undefined ? openSocketCalls() : settings.socketCalls,
    address: backend.address,
    timeouts: {
      connectMs: settings.connectMs ?? 60_000,
      firstByteMs: settings.firstByteMs ?? 60_000,
      idleMs: settings.idleMs ?? 60_000,
      requestMs: null,
    },
    connections: {
      maxIdle: settings.maxIdle ?? 256,
      idleMs: settings.keepMs ?? 60_000,
      maxAgeMs: settings.maxAgeMs ?? null,
    },
    now: settings.now ?? (() => performance.now()),
    ...(settings.onConnectionsChange && { onConnectionsChange: settings.onConnectionsChange }),
  });
}

/** A request without a body. */
export function bodyless(method = "GET", target = "/", fields = ""): OutgoingRequest {
  return {
    method,
    head: `${method} ${target} HTTP/1.1\r\nHost: test\r\n${fields}\r\n`,
    body: null,
    bodyLength: null,
  };
}

/** A request with a body; without a length it is chunked. */
export function withBody(
  body: ByteReader,
  bodyLength: number | null,
  method = "POST",
  target = "/",
): OutgoingRequest {
  const framing =
    bodyLength === null ? "Transfer-Encoding: chunked" : `Content-Length: ${bodyLength}`;
  return {
    method,
    head: `${method} ${target} HTTP/1.1\r\nHost: test\r\n${framing}\r\n\r\n`,
    body,
    bodyLength,
  };
}

export async function readAll(response: BackendResponse): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for (;;) {
    const piece = (await response.body?.read()) ?? null;
    if (piece === null) return Buffer.concat(pieces);
    pieces.push(piece);
  }
}

/** Sends, reads everything, and gives status and text. */
export async function fetchText(
  transport: BackendTransport,
  request: OutgoingRequest,
): Promise<{ status: number; text: string }> {
  const response = await transport.send(request).response;
  return { status: response.status, text: (await readAll(response)).toString("latin1") };
}

/** The error that a promise rejects with; fails when it resolves. */
export async function errorOf(promise: Promise<unknown>): Promise<Error> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ("error" in outcome && outcome.error instanceof Error) return outcome.error;
  throw new Error(`expected a rejection with an error, got ${JSON.stringify(outcome)}`);
}

/** A body from pieces that are already there. */
export class PiecesReader implements ByteReader {
  cancelled = false;
  reads = 0;
  readonly #pieces: (Uint8Array | Error)[];

  constructor(pieces: readonly (string | Uint8Array | Error)[]) {
    this.#pieces = pieces.map((piece) => (typeof piece === "string" ? Buffer.from(piece) : piece));
  }

  async read(): Promise<Uint8Array | null> {
    this.reads++;
    const piece = this.cancelled ? null : (this.#pieces.shift() ?? null);
    if (piece instanceof Error) throw piece;
    return piece;
  }

  cancel(): void {
    this.cancelled = true;
  }
}

/** A body that a test writes to, one piece at a time. */
export class ScriptedReader implements ByteReader {
  cancelled = false;
  /** How many pieces were taken. */
  taken = 0;
  #waiting: PromiseWithResolvers<Uint8Array | null> | null = null;
  #asked: PromiseWithResolvers<void> = Promise.withResolvers();

  read(): Promise<Uint8Array | null> {
    if (this.cancelled) return Promise.resolve(null);
    this.#waiting = Promise.withResolvers();
    this.#asked.resolve();
    return this.#waiting.promise;
  }

  cancel(): void {
    this.cancelled = true;
    this.#waiting?.resolve(null);
    this.#waiting = null;
  }

  /** Resolves when somebody waits for a piece (or had waited when the piece before was given). */
  get asked(): Promise<void> {
    return this.#asked.promise;
  }

  /** Gives the reader what it waits for: bytes, the end, or a break. */
  async give(piece: string | Uint8Array | Error | null): Promise<void> {
    await this.#asked.promise;
    this.#asked = Promise.withResolvers();
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting === null) return;
    this.taken++;
    if (piece instanceof Error) waiting.reject(piece);
    else waiting.resolve(typeof piece === "string" ? Buffer.from(piece) : piece);
  }
}
