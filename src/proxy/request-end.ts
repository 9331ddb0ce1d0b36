/** How a request ended, as observers are told. */
import type { ErrorCode, ProxyError } from "../errors.ts";
import type { Answer } from "./answer.ts";
import type { FrontAnswer } from "./front.ts";
import type { RequestEnd } from "./observer.ts";

/** The answer of a backend has been sent, or broken by the failure. */
export function endOfAnswer(
  answer: Answer,
  failure: ProxyError | null,
  request: { readonly startedAt: number; readonly requestBytes: number },
): RequestEnd {
  return {
    status: answer.status,
    error: failure?.code ?? null,
    endedBy: failure === null ? "backend" : endedBy(failure),
    phase: failure === null ? "done" : "body",
    requestBytes: request.requestBytes,
    responseBytes: answer.bytes,
    firstByteMs: answer.beganAt - request.startedAt,
  };
}

/** We answer because of the failure, if the client is still there. */
export function endOfFailure(
  failure: ProxyError,
  answer: FrontAnswer,
  request: { readonly method: string; readonly tookMs: number; readonly requestBytes: number },
): RequestEnd {
  const gone = failure.code === "client_gone";
  return {
    status: gone ? null : answer.status,
    error: failure.code,
    endedBy: endedBy(failure),
    phase: "head",
    requestBytes: request.requestBytes,
    responseBytes: gone || request.method === "HEAD" ? 0 : bytesOf(answer),
    firstByteMs: gone ? null : request.tookMs,
  };
}

/** We answer although nothing failed. */
export function endOfOwnAnswer(answer: FrontAnswer, tookMs: number): RequestEnd {
  return {
    status: answer.status,
    error: null,
    endedBy: "proxy",
    phase: "done",
    requestBytes: 0,
    responseBytes: bytesOf(answer),
    firstByteMs: tookMs,
  };
}

/** Of the failures whose source is the client, those that are no refusal of ours. */
const LEFT_UNFINISHED: ReadonlySet<ErrorCode> = new Set([
  "client_gone",
  "body_timeout",
  "request_timeout",
]);

/** A request that is wrong is ended by us, who refuse it. */
function endedBy({ source, code }: ProxyError): RequestEnd["endedBy"] {
  if (source !== "client") return source;
  return LEFT_UNFINISHED.has(code) ? "client" : "proxy";
}

/** What we answer ourselves is never streamed. */
function bytesOf({ body }: FrontAnswer): number {
  return body instanceof Uint8Array ? body.length : 0;
}
