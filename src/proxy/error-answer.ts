import type { ErrorCode, ProxyError } from "../errors.ts";
import type { FrontAnswer, FrontRequest, HeaderField } from "./front.ts";
import { FORWARDED_METHODS } from "./max-forwards.ts";

/** Our name in `Proxy-Status`. */
const NAME = "leastwise";

interface Row {
  readonly status: number;
  /** Error type of RFC 9209, section 2.3. */
  readonly proxyStatus: string;
}

/** What a client sees when we answer ourselves: the one table from code to status. */
const ANSWERS: Record<ErrorCode, Row> = {
  bad_request: { status: 400, proxyStatus: "http_request_error" },
  no_route: { status: 404, proxyStatus: "destination_not_found" },
  method_not_allowed: { status: 405, proxyStatus: "http_request_error" },
  body_timeout: { status: 408, proxyStatus: "http_request_error" },
  body_too_large: { status: 413, proxyStatus: "http_request_error" },
  // Nobody is there to read it; the number is nginx's, for logs.
  client_gone: { status: 499, proxyStatus: "http_request_error" },
  internal_error: { status: 500, proxyStatus: "proxy_internal_error" },
  method_not_supported: { status: 501, proxyStatus: "http_request_error" },
  upgrade_not_supported: { status: 501, proxyStatus: "http_upgrade_failed" },
  dns_failed: { status: 502, proxyStatus: "dns_error" },
  connect_refused: { status: 502, proxyStatus: "connection_refused" },
  connect_reset: { status: 502, proxyStatus: "connection_terminated" },
  tls_failed: { status: 502, proxyStatus: "tls_protocol_error" },
  bad_response: { status: 502, proxyStatus: "http_protocol_error" },
  reset: { status: 502, proxyStatus: "connection_terminated" },
  no_backend_available: { status: 503, proxyStatus: "destination_unavailable" },
  strategy_refused: { status: 503, proxyStatus: "destination_unavailable" },
  queue_full: { status: 503, proxyStatus: "connection_limit_reached" },
  queue_timeout: { status: 503, proxyStatus: "connection_limit_reached" },
  shutting_down: { status: 503, proxyStatus: "destination_unavailable" },
  overloaded: { status: 503, proxyStatus: "connection_limit_reached" },
  connect_timeout: { status: 504, proxyStatus: "connection_timeout" },
  first_byte_timeout: { status: 504, proxyStatus: "connection_read_timeout" },
  idle_timeout: { status: 504, proxyStatus: "connection_read_timeout" },
  request_timeout: { status: 504, proxyStatus: "http_response_timeout" },
  loop_detected: { status: 508, proxyStatus: "proxy_loop_detected" },
};

/** Seconds in `Retry-After`: long enough for a probe to find the backend well again. */
const RETRY_AFTER_SECONDS = "5";

export function statusOf(code: ErrorCode): number {
  return ANSWERS[code].status;
}

/** How long a client may leave an answer of our own untouched. */
const OWN_IDLE_MS = 60_000;

/** JSON, or plain text for a browser; never a stack, an address or a plugin's words. */
export function errorAnswer(
  error: ProxyError,
  request: Pick<FrontRequest, "headers">,
  requestId: string,
): FrontAnswer {
  const { status, proxyStatus } = ANSWERS[error.code];
  const asText = request.headers.get("accept")?.includes("text/html") ?? false;
  const text = asText
    ? `${status} ${error.code}: ${error.message}\nrequest ${requestId}\n`
    : `${JSON.stringify({ error: { code: error.code, message: error.message, requestId } })}\n`;
  const headers: HeaderField[] = [
    ["content-type", asText ? "text/plain; charset=utf-8" : "application/json"],
    ["cache-control", "no-store"],
    ["proxy-status", `${NAME}; error=${proxyStatus}`],
  ];
  if (status === 405) headers.push(["allow", FORWARDED_METHODS]);
  if (status === 503) headers.push(["retry-after", RETRY_AFTER_SECONDS]);
  // What is left of a request that we refused is not worth finding the next one in.
  if (error.source === "client") headers.push(["connection", "close"]);
  return { status, headers, body: new TextEncoder().encode(text), idleMs: OWN_IDLE_MS };
}
