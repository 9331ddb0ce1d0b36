/**
 * What the handler needs of the side that faces clients. `serve-front.ts` gives it over Bun.serve;
 * another front can be put in its place without touching the attempt loop.
 */
import type { ByteReader } from "../transport/byte-reader.ts";
import type { Endpoint } from "../transport/endpoint.ts";
import type { RequestHeaders } from "./request-fields.ts";

/** Name and value as they appear on the wire; latin-1. */
export type HeaderField = readonly [name: string, value: string];

export interface FrontRequest {
  /** As sent; case matters. */
  readonly method: string;
  readonly scheme: "http" | "https";
  readonly version: "1.0" | "1.1";
  /**
   * Path and query, in the one form that everybody sees. What has none (`*`, the authority of
   * CONNECT) comes as it was sent and does not start with `/`.
   */
  readonly target: string;
  /** Of a target in absolute form (RFC 9112, 3.2.2), which must be that of Host; else null. */
  readonly authority: string | null;
  readonly headers: RequestHeaders;
  /** Of the listener; null on a unix socket. */
  readonly port: number | null;
  /** The connection's other end; empty on a unix socket. */
  readonly peerAddress: string;
  /** It came on a new connection when there was no room for any more. */
  readonly refused: boolean;
  /** Null: no body. Untouched until somebody reads; who expects `100-continue` is told then. */
  readonly body: ByteReader | null;
  /** Calls back at most once, when the client's connection ends before the answer began. */
  onGone(callback: () => void): void;
}

export interface FrontAnswer {
  readonly status: number;
  /** Reason phrase; the usual one when it is not given. */
  readonly reason?: string;
  /** `Connection: close` among them ends the connection with this answer. */
  readonly headers: readonly HeaderField[];
  /**
   * Bytes: sent with their length. A reader: streamed, with the Content-Length among `headers` if there is one, which
   * it must keep, else chunked; the head goes out at once. `cancel` is called when the client goes away, a
   * rejection of `read` breaks the connection visibly. Null: no body; a Content-Length among
   * `headers` (HEAD, 304) is kept.
   */
  readonly body: Uint8Array | ByteReader | null;
  /** It is broken off when the client takes nothing for this many milliseconds; null: it may take its time. */
  readonly idleMs: number | null;
}

/** Never rejects. */
export type Handler = (request: FrontRequest) => Promise<FrontAnswer>;

/** A listening front. Requests that come before its first handler wait for it. */
export interface Front {
  /** From now on this one gets the requests; those that are under way stay with the one before. */
  setHandler(handler: Handler): void;
  /** From now on every answer says `Connection: close`. */
  closeConnections(): void;
  /** Those on which no request is under way, once. */
  closeIdle(): void;
  /** Those on which no request is under way, nor came since the last call. Not those that were never used. */
  closeUnused(): void;
  /** Those on which there was a request. */
  readonly connections: number;
  /** No new connections; resolves when all that ran has ended. */
  stop(): Promise<void>;
  /** Ends everything that is still open. */
  kill(): void;
  /** Null: a unix socket. */
  readonly port: number | null;
  /** The address that it listens on alone; null: every one, or a name. */
  readonly host: string | null;
  /** The clients whose requests are under way, except over a unix socket. */
  underWay(): Iterable<Endpoint>;
  /** Requests of clients that are under way. */
  readonly pendingRequests: number;
}
