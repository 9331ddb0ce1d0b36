/** One message body, read once, piece by piece; whoever does not read holds the sender back. */
export interface ByteReader {
  /** The next bytes (never empty), null at the proper end. Rejects when the body is broken. Never called again before it settled. */
  read(): Promise<Uint8Array | null>;
  /** Nobody wants the rest. Safe to call at any time, more than once. A pending `read` settles. */
  cancel(): void;
}

/** A body that may have arrived before anybody asked for it. */
export interface ResponseBodyReader extends ByteReader {
  /** All of the body if it is here, complete and unread; else null, and nothing is taken. */
  takeWhole(): Uint8Array | null;
}
