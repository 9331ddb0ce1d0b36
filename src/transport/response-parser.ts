import { ChunkedDecoder } from "./chunked-decoder.ts";
import { MalformedResponse, type ParsedHead, parseHead } from "./response-head.ts";

/** One head, the empty line included; also what a never-ending head may make us hold. */
export const MAX_HEAD_BYTES = 64 * 1024;
/** Interim (1xx) responses before the final one. */
export const MAX_INTERIM = 16;

export interface ResponseSink {
  /** The final head, once. */
  onHead(head: ParsedHead): void;
  /** Body bytes, never empty, parts of what was pushed (no copies). */
  onBody(piece: Buffer): void;
}

const END_OF_HEAD = Buffer.from("\r\n\r\n");
const START = Buffer.from("HTTP/1.");
const CR = 0x0d;
const LF = 0x0a;

/**
 * Reads one response, however its bytes are cut. It holds nothing but a head that is not whole yet. Strict: what RFC 9112 forbids is
 * refused rather than repaired, because a proxy that repairs passes on its own guess; but for the one repair that it demands, a blank
 * before a colon.
 */
export class ResponseParser {
  /** The whole message has been seen. */
  complete = false;
  /** Bytes followed the message: the connection is out of step and of no use any more. */
  overrun = false;
  /** Interim responses skipped so far. */
  interim = 0;
  head: ParsedHead | null = null;

  readonly #method: string;
  readonly #sink: ResponseSink;
  /** A head that came in parts, in a buffer that doubles. */
  #partial: Buffer | null = null;
  #partialLength = 0;
  #remaining = 0;
  #decoder: ChunkedDecoder | null = null;
  #onBody: ((piece: Buffer) => void) | null = null;

  /** `method` is the request's: a response to HEAD has no body. */
  constructor(method: string, sink: ResponseSink) {
    this.#method = method;
    this.#sink = sink;
  }

  /** Throws MalformedResponse; the parser is of no use afterwards. */
  push(bytes: Buffer): void {
    let at = 0;
    while (this.head === null) {
      const used = this.#pushHead(bytes, at);
      if (used === -1) return;
      at += used;
    }
    if (at < bytes.length) this.#pushBody(bytes, at);
  }

  /** The stream ended cleanly. False: in the middle of a message (or before one). */
  end(): boolean {
    if (this.head?.framing === "close") this.complete = true;
    return this.complete;
  }

  /** Bytes used up to the end of a head, or -1 when it is not whole yet. */
  #pushHead(bytes: Buffer, from: number): number {
    if (this.#partial === null) {
      const end = bytes.indexOf(END_OF_HEAD, from);
      if (end !== -1) {
        if (end + 4 - from > MAX_HEAD_BYTES) throw tooLong();
        this.#takeHead(bytes, from, end);
        return end + 4 - from;
      }
      if (bytes.length - from >= MAX_HEAD_BYTES) throw tooLong();
    }
    return this.#pushPartialHead(bytes, from);
  }

  #pushPartialHead(bytes: Buffer, from: number): number {
    const before = this.#partialLength;
    const wanted = Math.min(before + bytes.length - from, MAX_HEAD_BYTES);
    const partial = roomFor(this.#partial, before, wanted);
    bytes.copy(partial, before, from, from + wanted - before);
    const end = partial.subarray(0, wanted).indexOf(END_OF_HEAD, Math.max(0, before - 3));
    if (end === -1) {
      if (wanted === MAX_HEAD_BYTES) throw tooLong();
      refuseHopeless(partial, before, wanted);
      this.#partial = partial;
      this.#partialLength = wanted;
      return -1;
    }
    this.#partial = null;
    this.#partialLength = 0;
    this.#takeHead(partial, 0, end);
    return end + 4 - before;
  }

  #takeHead(bytes: Buffer, from: number, to: number): void {
    const head = parseHead(bytes, from, to, this.#method);
    if (head.status < 200) {
      // We never ask for an upgrade, so nobody would understand what follows a 101 (RFC 9110 section 15.2.2).
      if (head.status === 101)
        throw new MalformedResponse("it switches protocols without having been asked");
      if (++this.interim > MAX_INTERIM)
        throw new MalformedResponse(`it has more than ${MAX_INTERIM} interim responses`);
      return;
    }
    this.head = head;
    if (head.framing === "none") this.complete = true;
    else if (head.framing === "length") this.#remaining = head.bodyLength as number;
    else if (head.framing === "chunked") {
      this.#decoder = new ChunkedDecoder();
      this.#onBody = (piece) => this.#sink.onBody(piece);
    }
    this.#sink.onHead(head);
  }

  #pushBody(bytes: Buffer, from: number): void {
    const available = bytes.length - from;
    if (this.complete) {
      this.overrun = true;
    } else if (this.#decoder !== null) {
      const used = this.#decoder.push(bytes, from, this.#onBody as (piece: Buffer) => void);
      this.complete = this.#decoder.done;
      this.overrun = used < available;
    } else if (this.head?.framing === "close") {
      this.#sink.onBody(from === 0 ? bytes : bytes.subarray(from));
    } else {
      const used = Math.min(available, this.#remaining);
      this.#remaining -= used;
      this.complete = this.#remaining === 0;
      this.overrun = used < available;
      this.#sink.onBody(used === bytes.length ? bytes : bytes.subarray(from, from + used));
    }
  }
}

function tooLong(): MalformedResponse {
  return new MalformedResponse(`its head is longer than ${MAX_HEAD_BYTES} bytes`);
}

/**
 * What can never become a head is refused at once, or it would be waited for until the timeout: another protocol, and lines
 * that end in a bare LF. `from` to `to` is new, what is before was looked at.
 */
function refuseHopeless(partial: Buffer, from: number, to: number): void {
  for (let at = from; at < Math.min(to, START.length); at++) {
    if (partial[at] !== START[at]) throw new MalformedResponse("it does not begin like HTTP/1");
  }
  for (let at = partial.indexOf(LF, from); at !== -1 && at < to; at = partial.indexOf(LF, at + 1)) {
    if (partial[at - 1] !== CR) throw new MalformedResponse("it has a line that ends in a bare LF");
  }
}

/** Doubling keeps a head that arrives byte by byte from costing the square of its length. */
function roomFor(buffer: Buffer | null, used: number, wanted: number): Buffer {
  if (buffer !== null && buffer.length >= wanted) return buffer;
  const larger = Buffer.allocUnsafe(Math.min(MAX_HEAD_BYTES, Math.max(1024, wanted * 2)));
  buffer?.copy(larger, 0, 0, used);
  return larger;
}
