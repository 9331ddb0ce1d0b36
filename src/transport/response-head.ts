import type { ResponseHead } from "./exchange.ts";

/** The backend sent something that is not a response we accept. The message may be shown to clients. */
export class MalformedResponse extends Error {
  override readonly name = "MalformedResponse";
}

/** How the end of the body is found (RFC 9112 section 6.3). */
export type BodyFraming = "none" | "length" | "chunked" | "close";

export interface ParsedHead extends ResponseHead {
  readonly framing: BodyFraming;
  /** Declared by Content-Length, also where no body follows (HEAD, 304); else null. */
  readonly bodyLength: number | null;
  /** The backend keeps the connection open after this response. */
  readonly persistent: boolean;
  /** `Keep-Alive: timeout=N` in milliseconds; null when not said. */
  readonly keepAliveMs: number | null;
}

/** More fields than this are refused; a browser's server sends about 20. */
export const MAX_FIELDS = 256;

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
const USUAL_STATUS_LINE = "HTTP/1.1 200 OK";
const CR = 0x0d;
const LF = 0x0a;
const COLON = 0x3a;
const INVALID = 0;
const VALUE_ONLY = 1;
const TOKEN = 2;
const CHARACTERS = characterClasses();
const DIGITS = /^[0-9]{1,20}$/;
const KEEP_ALIVE_TIMEOUT = /(?:^|[,;\s])timeout\s*=\s*"?([0-9]{1,6})/i;

/**
 * Reads one head out of `bytes`: status line and fields from `from` to `to`, without the empty line that ends it. `method` is
 * the request's. Throws MalformedResponse.
 */
export function parseHead(bytes: Buffer, from: number, to: number, method: string): ParsedHead {
  const text = bytes.toString("latin1", from, to);
  let at = text.indexOf("\r\n");
  if (at === -1) at = text.length;
  const [minorVersion, status, reason] = startOf(text.slice(0, at));
  at += from + 2;

  const headers: [string, string][] = [];
  let length: string | null = null;
  let coding: string | null = null;
  let close = false;
  let keepAlive = false;
  let keepAliveMs: number | null = null;
  let fields = 0;

  // One pass over the bytes (positions are those in `bytes`): searches, two regular expressions and a trim per
  // field were the largest part of our own CPU per response in a profile.
  while (at < to) {
    if (++fields > MAX_FIELDS)
      throw new MalformedResponse(`it has more than ${MAX_FIELDS} header fields`);
    const nameAt = at;
    while (at < to && CHARACTERS[bytes[at] as number] === TOKEN) at++;
    const nameEnd = at;
    // Between a name and its colon a client refuses a blank or, worse, does not see the field; a proxy must remove it,
    // and read such a field like any other (RFC 9112 section 5.1).
    while (at < to && isBlank(bytes[at] as number)) at++;
    if (nameEnd === nameAt || at === to || bytes[at] !== COLON) {
      throw badName(text, nameAt - from);
    }
    const name = text.slice(nameAt - from, nameEnd - from);
    at++;
    while (at < to && isBlank(bytes[at] as number)) at++;
    const valueAt = at;
    let valueEnd = at;
    for (; at < to; at++) {
      const byte = bytes[at] as number;
      if (CHARACTERS[byte] === INVALID) break;
      if (!isBlank(byte)) valueEnd = at + 1;
    }
    if (at < to && !(bytes[at] === CR && at + 1 < to && bytes[at + 1] === LF)) {
      throw new MalformedResponse("it has a control character in a header value");
    }
    const value = text.slice(valueAt - from, valueEnd - from);
    at += 2;

    // The length of the name rules out nearly every field before anything is lower-cased.
    switch (name.length) {
      case 14:
        if (name === "Content-Length" || name.toLowerCase() === "content-length") {
          const repeated = length !== null;
          length = oneLength(value, length);
          if (!repeated) headers.push([name, length]);
          continue;
        }
        break;
      case 17:
        if (name.toLowerCase() === "transfer-encoding") {
          if (coding !== null)
            throw new MalformedResponse("it has more than one Transfer-Encoding");
          coding = value.toLowerCase();
        }
        break;
      case 10: {
        const lower = name.toLowerCase();
        if (lower === "connection") {
          const options = value.toLowerCase().split(",");
          if (options.some((option) => option.trim() === "close")) close = true;
          if (options.some((option) => option.trim() === "keep-alive")) keepAlive = true;
        } else if (lower === "keep-alive") {
          const timeout = KEEP_ALIVE_TIMEOUT.exec(value);
          if (timeout !== null) keepAliveMs = Number(timeout[1]) * 1000;
        }
        break;
      }
    }
    headers.push([name, value]);
  }

  if (coding !== null) {
    // Two framings, or one that HTTP/1.0 has no word for, are how responses are split (RFC 9112 section 6.1).
    if (length !== null)
      throw new MalformedResponse("it has both Content-Length and Transfer-Encoding");
    if (minorVersion === 0) throw new MalformedResponse("it is HTTP/1.0 with Transfer-Encoding");
    if (coding !== "chunked")
      throw new MalformedResponse("its Transfer-Encoding is not chunked alone");
  }
  const bodyLength = length === null ? null : Number(length);
  if (bodyLength !== null && !Number.isSafeInteger(bodyLength)) {
    throw new MalformedResponse("its Content-Length is too large");
  }
  const framing =
    method === "HEAD" || status === 204 || status === 304 || status < 200 || bodyLength === 0
      ? "none"
      : coding !== null
        ? "chunked"
        : bodyLength !== null
          ? "length"
          : "close";
  const persistent = !close && framing !== "close" && (minorVersion === 1 || keepAlive);
  return { status, reason, headers, framing, bodyLength, persistent, keepAliveMs };
}

function startOf(line: string): [minorVersion: 0 | 1, status: number, reason: string] {
  if (line === USUAL_STATUS_LINE) return [1, 200, "OK"];
  const match = STATUS_LINE.exec(line);
  if (match === null) {
    throw new MalformedResponse(
      "its status line is not HTTP/1.0 or HTTP/1.1 with a status of 100 to 599",
    );
  }
  return [match[1] === "1" ? 1 : 0, Number(match[2]), match[3] ?? ""];
}

/** `5` and `5, 5` are one length (RFC 9110 section 8.6); anything that differs from what was said before is refused. */
function oneLength(value: string, before: string | null): string {
  if (before === null && DIGITS.test(value)) return value;
  let length = before;
  for (const part of value.includes(",") ? value.split(",") : [value]) {
    const digits = part.trim();
    if (!DIGITS.test(digits)) throw new MalformedResponse("its Content-Length is not a number");
    if (length !== null && length !== digits)
      throw new MalformedResponse("it has two different Content-Lengths");
    length = digits;
  }
  return length ?? value;
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

function badName(text: string, from: number): MalformedResponse {
  const end = text.indexOf("\r\n", from);
  const line = end === -1 ? text.slice(from) : text.slice(from, end);
  return new MalformedResponse(
    line.includes(":")
      ? "it has a header name that is not a token"
      : "it has a header line without a colon",
  );
}

/**
 * What each latin-1 character may be part of. RFC 9110 section 5.5 calls CR, LF and NUL dangerous and the other controls
 * invalid: none of them is passed on.
 */
function characterClasses(): Uint8Array {
  const classes = new Uint8Array(256);
  for (let code = 0; code < 256; code++) {
    const character = String.fromCharCode(code);
    if (/[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(character)) classes[code] = TOKEN;
    else if (/[\t\x20-\x7e\x80-\xff]/.test(character)) classes[code] = VALUE_ONLY;
  }
  return classes;
}
