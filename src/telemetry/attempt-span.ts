import { type Span, SpanStatusCode } from "@opentelemetry/api";
import type { HeaderField } from "../proxy/front.ts";
import type { AttemptFacts, ObservedAttempt } from "../proxy/observer.ts";
import { type AttemptNotes, MAX_NOTES, type NoteValue } from "../strategy/attempt-notes.ts";
import {
  BACKEND_ID,
  BACKEND_IN_FLIGHT,
  CANDIDATES,
  CONNECT_DURATION_MS,
  EJECTED_COUNT,
  ERROR_TYPE,
  EVENT_CONNECTED,
  EVENT_FIRST_BYTE,
  EVENT_RECONNECTING,
  FALLBACK,
  HTTP_REQUEST_RESEND_COUNT,
  HTTP_RESPONSE_STATUS_CODE,
  NETWORK_PROTOCOL_VERSION,
  PICK_DURATION_US,
  POOL,
  RETRY_REASON,
  SERVER_ADDRESS,
  SERVER_PORT,
  STRATEGY,
  STRATEGY_OWN,
  STRATEGY_VERSION,
  URL_FULL,
} from "./attributes.ts";
import { parseAuthority } from "./authority.ts";
import type { BackendPeer } from "./backend-peer.ts";
import { attemptErrorType } from "./error-type.ts";
import { redactTarget } from "./redact.ts";
import type { RequestClock } from "./request-clock.ts";

/** The CLIENT span of one attempt. It ends with the response body, or when the attempt breaks. */
export class AttemptSpan implements ObservedAttempt, AttemptNotes {
  readonly headers: readonly HeaderField[];
  readonly removed: readonly string[];
  readonly #span: Span;
  readonly #clock: RequestClock;
  #noted = 0;
  #status: number | null = null;

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

  get notes(): AttemptNotes {
    return this;
  }

  setAttribute(name: string, value: NoteValue): void {
    if (this.#takesNote()) this.#span.setAttribute(`${STRATEGY_OWN}${name}`, value);
  }

  addEvent(name: string, attributes: Readonly<Record<string, NoteValue>>): void {
    if (this.#takesNote()) {
      this.#span.addEvent(`${STRATEGY_OWN}${name}`, attributes, this.#clock.now());
    }
  }

  /** Not after the end, when the SDK logs every use: a strategy may hear of the end after us. */
  #takesNote(): boolean {
    return this.#noted++ < MAX_NOTES && this.#span.isRecording();
  }

  connected(durationMs: number): void {
    this.#span.addEvent(EVENT_CONNECTED, { [CONNECT_DURATION_MS]: durationMs }, this.#clock.now());
  }

  reconnecting(): void {
    this.#span.addEvent(EVENT_RECONNECTING, this.#clock.now());
  }

  responded(status: number): void {
    this.#status = status;
    this.#span.setAttribute(HTTP_RESPONSE_STATUS_CODE, status);
    this.#span.addEvent(EVENT_FIRST_BYTE, this.#clock.now());
  }

  ended(end: Parameters<ObservedAttempt["ended"]>[0]): void {
    // The SDK logs every use of a span after its end.
    if (!this.#span.isRecording()) return;
    if (end.status !== null && end.status !== this.#status) {
      this.#span.setAttribute(HTTP_RESPONSE_STATUS_CODE, end.status);
    }
    const errorType = attemptErrorType(end);
    if (errorType !== null) {
      this.#span.setAttribute(ERROR_TYPE, errorType);
      this.#span.setStatus({ code: SpanStatusCode.ERROR });
    }
    this.#span.end(this.#clock.now());
  }
}

/**
 * After the start of the span: given at its start, the SDK copies and checks every one of them twice.
 *
 * `server.*` and `url.full` name the Host that was sent, as the conventions ask, also where that is
 * the client's; which machine it went to is in `leastwise.backend.id` and `network.peer.*`.
 */
export function describeAttempt(span: Span, facts: AttemptFacts, peer: BackendPeer): void {
  span.setAttributes(peer.attributes);
  span.setAttribute(URL_FULL, `${peer.scheme}://${facts.host}${redactTarget(facts.target)}`);
  span.setAttribute(NETWORK_PROTOCOL_VERSION, "1.1");
  span.setAttribute(POOL, facts.pool);
  span.setAttribute(BACKEND_ID, facts.backend.id);
  span.setAttribute(BACKEND_IN_FLIGHT, facts.inFlight);
  span.setAttribute(STRATEGY, facts.strategy.name);
  span.setAttribute(STRATEGY_VERSION, facts.strategy.version);
  span.setAttribute(CANDIDATES, facts.candidates);
  span.setAttribute(FALLBACK, facts.fallback);
  // Tenths are as fine as the clock is.
  span.setAttribute(PICK_DURATION_US, Math.round(facts.pickMs * 10_000) / 10);
  const authority = parseAuthority(facts.host, peer.scheme);
  if (authority !== null) {
    span.setAttribute(SERVER_ADDRESS, authority.address);
    span.setAttribute(SERVER_PORT, authority.port);
  }
  if (facts.number > 1) span.setAttribute(HTTP_REQUEST_RESEND_COUNT, facts.number - 1);
  if (facts.retryReason !== null) span.setAttribute(RETRY_REASON, facts.retryReason);
  if (facts.decision !== null) span.setAttribute(EJECTED_COUNT, facts.decision.ejected);
}
