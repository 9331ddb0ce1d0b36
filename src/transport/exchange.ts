/**
 * What the attempt loop asks of a transport: send one request over some connection to one backend.
 */
import type { ByteReader, ResponseBodyReader } from "./byte-reader.ts";

export interface OutgoingRequest {
  readonly method: string;
  /** Request line and header fields, latin-1, complete with the empty line; it already names the body's framing. */
  readonly head: string;
  /**
   * Cancelled when the response ended before it was sent, when it broke off, or by `abort`. When `response` rejects
   * for any other reason it is left alone (though perhaps read from), so that an untouched one can go elsewhere.
   */
  readonly body: ByteReader | null;
  /** How `head` frames the body: a number is its Content-Length, null is chunked (the transport writes the chunks). */
  readonly bodyLength: number | null;
  /** Use a new connection even if an idle one is there. */
  readonly fresh?: boolean;
  /** A new connection was made for this request and took this many milliseconds. */
  readonly onConnect?: (durationMs: number) => void;
}

export interface ResponseHead {
  readonly status: number;
  /** May be empty. */
  readonly reason: string;
  /** In the order of the wire, names in the case of the wire. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export interface BackendResponse extends ResponseHead {
  /** Null when there is none by rule (HEAD, 204, 304, Content-Length: 0). */
  readonly body: ResponseBodyReader | null;
  /** Declared length; null when chunked or delimited by the close. */
  readonly bodyLength: number | null;
}

export interface Exchange {
  /**
   * The final response head (1xx are skipped). Rejects with a TransportError when it is the backend's doing, with a
   * ProxyError whose `source` is `client` when the request body broke off, stalled or did not have its length (`proxy`: no
   * descriptors left), or with the reason of `abort`. After it resolves, faults show as rejections of `body.read()`, with the same errors.
   * Either may be ignored: neither ends the process as an unhandled rejection.
   */
  readonly response: Promise<BackendResponse>;
  /** Ends it at once: the connection is closed, not reused; what is pending rejects. No effect after the end. */
  abort(reason: Error): void;
}

export interface Transport {
  send(request: OutgoingRequest): Exchange;
  /** Closes idle connections; those in use end after their exchange, and so does that of a later `send`. */
  close(): void;
}
