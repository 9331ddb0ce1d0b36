import { BACKEND_HEADER } from "./scenario.ts";

/** The answer to one of the demo's requests. */
export interface DemoResponse {
  readonly status: number;
  /** The backend that named itself; null when the proxy answered by itself. */
  readonly backend: string | null;
  /** The connection may carry the next request. */
  readonly reusable: boolean;
}

/** Collects one response at a time. */
export interface ResponseReader {
  /** The response once it is whole, null while bytes are missing. Throws on what is no HTTP/1.1 answer. */
  push(chunk: Uint8Array): DemoResponse | null;
  /** True when a response has begun. */
  readonly started: boolean;
}

/** Answers to the demo's requests are a few hundred bytes; more is a fault and must not be collected. */
const MAX_BYTES = 64 * 1024;

/**
 * Reads the small answers that the demo's backends and the proxy give: a Content-Length, or chunked.
 * Deliberately not the proxy's own transport, whose faults would then not be seen from outside.
 */
export function createResponseReader(): ResponseReader {
  let text = "";
  return {
    get started() {
      return text !== "";
    },
    push(chunk) {
      text += Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString("latin1");
      if (text.length > MAX_BYTES) throw new Error("the answer is too long");
      const response = parse(text);
      if (response !== null) text = "";
      return response;
    },
  };
}

function parse(text: string): DemoResponse | null {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) return null;
  const lines = text.slice(0, headEnd).split("\r\n");
  const status = /^HTTP\/1\.1 (\d{3})(?: |$)/.exec(lines[0] ?? "")?.[1];
  if (status === undefined) throw new Error("the answer is not HTTP/1.1");
  const headers = new Map<string, string>();
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(":");
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  const body = text.slice(headEnd + 4);
  if (!isWhole(body, headers)) return null;
  return {
    status: Number(status),
    backend: headers.get(BACKEND_HEADER) ?? null,
    reusable: headers.get("connection")?.toLowerCase() !== "close",
  };
}

function isWhole(body: string, headers: ReadonlyMap<string, string>): boolean {
  const length = headers.get("content-length");
  if (length !== undefined) {
    if (body.length > Number(length))
      throw new Error("the answer is longer than its Content-Length");
    return body.length === Number(length);
  }
  if (headers.get("transfer-encoding") === "chunked") {
    return body === "0\r\n\r\n" || body.endsWith("\r\n0\r\n\r\n");
  }
  throw new Error("the answer does not say where it ends");
}
