import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
} from "@opentelemetry/api";
import type { Backend } from "../plugin.ts";
import type { HeaderField } from "../proxy/front.ts";
import type {
  AttemptFacts,
  ObservedAttempt,
  ObservedRequest,
  RequestEnd,
  RequestFacts,
  RequestTrace,
} from "../proxy/observer.ts";
import { AttemptSpan, describeAttempt } from "./attempt-span.ts";
import {
  CLIENT_ADDRESS,
  ERROR_TYPE,
  EVENT_DECISION,
  EVENT_RETRY_REFUSED,
  HTTP_REQUEST_METHOD,
  HTTP_REQUEST_METHOD_ORIGINAL,
  HTTP_RESPONSE_STATUS_CODE,
  HTTP_ROUTE,
  METHOD_OTHER,
  NETWORK_PEER_ADDRESS,
  NETWORK_PROTOCOL_VERSION,
  POOL,
  SERVER_ADDRESS,
  SERVER_PORT,
  URL_PATH,
  URL_QUERY,
  URL_SCHEME,
  USER_AGENT_ORIGINAL,
} from "./attributes.ts";
import { parseAuthority } from "./authority.ts";
import type { BackendPeer } from "./backend-peer.ts";
import { decisionAttributes } from "./decision-event.ts";
import { requestErrorType } from "./error-type.ts";
import { originalHost, originalScheme } from "./original-request.ts";
import { redactQuery } from "./redact.ts";
import type { RequestClock } from "./request-clock.ts";
import { traceparentField } from "./trace-context.ts";

const NO_FIELDS: readonly HeaderField[] = [];

export interface RequestSpanOptions {
  readonly tracer: Tracer;
  readonly span: Span;
  readonly clock: RequestClock;
  /** The span's name without the route: the method, or `HTTP`. */
  readonly name: string;
  /** Of the method, for the spans of the attempts. */
  readonly method: Attributes;
  /** Whether the attempt's own context goes to the backend. */
  readonly propagate: boolean;
  /** The client's fields that no backend may see. */
  readonly removed: readonly string[];
  readonly peerOf: (backend: Backend) => BackendPeer;
}

/** The SERVER span of one request. It ends when the response body has been sent or broken. */
export class RequestSpan implements ObservedRequest {
  readonly wantsDecision = true;
  readonly trace: RequestTrace;
  readonly #options: RequestSpanOptions;
  readonly #context: Context;

  constructor(options: RequestSpanOptions) {
    this.#options = options;
    this.trace = options.span.spanContext();
    this.#context = trace.setSpan(ROOT_CONTEXT, options.span);
  }

  routed(pool: string, route: string | null): void {
    const { span, name } = this.#options;
    span.setAttribute(POOL, pool);
    const path = route === null ? null : routePath(route);
    if (path === null) return;
    span.setAttribute(HTTP_ROUTE, path);
    span.updateName(`${name} ${path}`);
  }

  attemptStarting(facts: AttemptFacts): ObservedAttempt {
    const { tracer, clock, name, method, propagate, removed, peerOf } = this.#options;
    const startTime = clock.now();
    const span = tracer.startSpan(name, { kind: SpanKind.CLIENT, startTime }, this.#context);
    span.setAttributes(method);
    describeAttempt(span, facts, peerOf(facts.backend));
    if (facts.decision !== null) {
      span.addEvent(EVENT_DECISION, decisionAttributes(facts.decision), startTime);
    }
    const headers = propagate ? [traceparentField(span.spanContext())] : NO_FIELDS;
    return new AttemptSpan(span, clock, headers, removed);
  }

  retryRefused(): void {
    this.#options.span.addEvent(EVENT_RETRY_REFUSED, this.#options.clock.now());
  }

  ended(end: RequestEnd): void {
    const { span, clock } = this.#options;
    // The SDK logs every use of a span after its end.
    if (!span.isRecording()) return;
    if (end.status !== null) span.setAttribute(HTTP_RESPONSE_STATUS_CODE, end.status);
    const errorType = requestErrorType(end);
    if (errorType !== null) {
      span.setAttribute(ERROR_TYPE, errorType);
      span.setStatus({ code: SpanStatusCode.ERROR });
    }
    span.end(clock.now());
  }
}

export function methodAttributes(method: string, known: boolean): Attributes {
  return known
    ? { [HTTP_REQUEST_METHOD]: method }
    : { [HTTP_REQUEST_METHOD]: METHOD_OTHER, [HTTP_REQUEST_METHOD_ORIGINAL]: method };
}

/** All but the method's. */
export function describeRequest(span: Span, facts: RequestFacts): void {
  const { request } = facts;
  const queryAt = request.target.indexOf("?");
  const path = queryAt === -1 ? request.target : request.target.slice(0, queryAt);
  const { trustedPeer } = facts;
  const scheme = (trustedPeer ? originalScheme(request.headers) : null) ?? request.scheme;
  const host = (trustedPeer ? originalHost(request.headers) : null) ?? facts.host;
  span.setAttribute(URL_PATH, path);
  span.setAttribute(URL_SCHEME, scheme);
  span.setAttribute(NETWORK_PROTOCOL_VERSION, request.version);
  if (queryAt !== -1) {
    span.setAttribute(URL_QUERY, redactQuery(request.target.slice(queryAt + 1)));
  }
  const authority = parseAuthority(host, scheme);
  if (authority !== null) {
    span.setAttribute(SERVER_ADDRESS, authority.address);
    span.setAttribute(SERVER_PORT, authority.port);
  }
  // Both are empty on a unix socket.
  if (facts.clientAddress !== "") span.setAttribute(CLIENT_ADDRESS, facts.clientAddress);
  if (request.peerAddress !== "") span.setAttribute(NETWORK_PEER_ADDRESS, request.peerAddress);
  const userAgent = request.headers.get("user-agent");
  if (userAgent !== null) span.setAttribute(USER_AGENT_ORIGINAL, userAgent);
}

/** `http.route` is a path; the host of `api.example.com/v1/*` is in `server.address`. Null for a route without a path. */
function routePath(route: string): string | null {
  const at = route.indexOf("/");
  return at === -1 ? null : route.slice(at);
}
