import { type Attributes, type Span, SpanStatusCode } from "@opentelemetry/api";
import type { HeaderField } from "../proxy/front.ts";
import type { AttemptFacts, ObservedAttempt } from "../proxy/observer.ts";
import {
  BACKEND_ID,
  BACKEND_IN_FLIGHT,
  CANDIDATES,
  CONNECT_DURATION_MS,
  ERROR_TYPE,
  EVENT_CONNECTED,
  EVENT_FIRST_BYTE,
  FALLBACK,
  HTTP_REQUEST_RESEND_COUNT,
  HTTP_RESPONSE_STATUS_CODE,
  NETWORK_PROTOCOL_VERSION,
  POOL,
  SERVER_ADDRESS,
  SERVER_PORT,
  STRATEGY,
  STRATEGY_VERSION,
  URL_FULL,
} from "./attributes.ts";
import { parseAuthority } from "./authority.ts";
import type { BackendPeer } from "./backend-peer.ts";
import { attemptErrorType } from "./error-type.ts";
import { redactTarget } from "./redact.ts";
import type { RequestClock } from "./request-clock.ts";

/** The CLIENT span of one attempt. It ends with the response body, or when the attempt breaks. */
export class AttemptSpan implements ObservedAttempt {
  readonly headers: readonly HeaderField[];
  readonly removed: readonly string[];
  readonly #span: Span;
  readonly #clock: RequestClock;

  constructor(
    span: Span,
    clock: RequestClock,
    headers: readonly HeaderField[],
    removed: readonly string[],
  ) {
    this.#span = span;
    this.#clock = clock;
    this.headers = headers;
    this.removed = removed;
  }

  connected(durationMs: number): void {
    this.#span.addEvent(EVENT_CONNECTED, { [CONNECT_DURATION_MS]: durationMs }, this.#clock.now());
  }

  responded(status: number): void {
    this.#span.setAttribute(HTTP_RESPONSE_STATUS_CODE, status);
    this.#span.addEvent(EVENT_FIRST_BYTE, this.#clock.now());
  }

  ended(end: Parameters<ObservedAttempt["ended"]>[0]): void {
    // The SDK logs every use of a span after its end.
    if (!this.#span.isRecording()) return;
    if (end.status !== null) this.#span.setAttribute(HTTP_RESPONSE_STATUS_CODE, end.status);
    const errorType = attemptErrorType(end);
    if (errorType !== null) {
      this.#span.setAttribute(ERROR_TYPE, errorType);
      this.#span.setStatus({ code: SpanStatusCode.ERROR });
    }
    this.#span.end(this.#clock.now());
  }
}

/**
 * `server.*` and `url.full` name the Host that was sent, as the conventions ask, also where that is
 * the client's; which machine it went to is in `leastwise.backend.id` and `network.peer.*`.
 */
export function attemptAttributes(
  facts: AttemptFacts,
  peer: BackendPeer,
  resendCount: number,
): Attributes {
  const attributes: Attributes = {
    ...peer.attributes,
    [URL_FULL]: `${peer.scheme}://${facts.host}${redactTarget(facts.target)}`,
    [NETWORK_PROTOCOL_VERSION]: "1.1",
    [POOL]: facts.pool,
    [BACKEND_ID]: facts.backend.id,
    [BACKEND_IN_FLIGHT]: facts.inFlight,
    [STRATEGY]: facts.strategy.name,
    [STRATEGY_VERSION]: facts.strategy.version,
    [CANDIDATES]: facts.candidates,
    [FALLBACK]: facts.fallback,
  };
  const authority = parseAuthority(facts.host, peer.scheme);
  if (authority !== null) {
    attributes[SERVER_ADDRESS] = authority.address;
    attributes[SERVER_PORT] = authority.port;
  }
  if (resendCount > 0) attributes[HTTP_REQUEST_RESEND_COUNT] = resendCount;
  return attributes;
}
