import type { HeaderField } from "../proxy/front.ts";
import type {
  AttemptFacts,
  AttemptObservedEnd,
  ObservedAttempt,
  RequestTrace,
} from "../proxy/observer.ts";
import { type AttemptNotes, MAX_NOTES, type NoteValue } from "../strategy/attempt-notes.ts";
import {
  AFFINITY,
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
  PICK_DURATION_US,
  RETRY_REASON,
  STRATEGY_OWN,
  URL_FULL,
} from "./attributes.ts";
import { attemptErrorType } from "./error-type.ts";
import { type Redactor, redactTarget } from "./redact.ts";
import type { RecordedSpan } from "./recorded-span.ts";
import type { RequestClock } from "./request-clock.ts";
import type { SpanGroups } from "./span-groups.ts";

/** The CLIENT span of one attempt. It ends with the response body, or when the attempt breaks. */
export class AttemptSpan implements ObservedAttempt, AttemptNotes {
  readonly trace: RequestTrace;
  readonly headers: readonly HeaderField[];
  readonly removed: readonly string[];
  readonly #span: RecordedSpan;
  readonly #clock: RequestClock;
  #noted = 0;
  #status: number | null = null;

  constructor(
    span: RecordedSpan,
    clock: RequestClock,
    headers: readonly HeaderField[],
    removed: readonly string[],
  ) {
    this.trace = span.context;
    this.#span = span;
    this.#clock = clock;
    this.headers = headers;
    this.removed = removed;
  }

  get notes(): AttemptNotes {
    return this;
  }

  setAttribute(name: string, value: NoteValue): void {
    if (this.#takesNote()) this.#span.set(`${STRATEGY_OWN}${name}`, value);
  }

  addEvent(name: string, attributes: Readonly<Record<string, NoteValue>>): void {
    if (this.#takesNote()) {
      this.#span.addEvent(`${STRATEGY_OWN}${name}`, this.#clock.now(), attributes);
    }
  }

  /** Not after the end: a strategy may hear of it after us. */
  #takesNote(): boolean {
    return this.#noted++ < MAX_NOTES && !this.#span.ended;
  }

  connected(durationMs: number): void {
    this.#span.addEvent(EVENT_CONNECTED, this.#clock.now(), { [CONNECT_DURATION_MS]: durationMs });
  }

  reconnecting(): void {
    this.#span.addEvent(EVENT_RECONNECTING, this.#clock.now());
  }

  responded(status: number): void {
    this.#status = status;
    this.#span.addEvent(EVENT_FIRST_BYTE, this.#clock.now());
  }

  ended(end: AttemptObservedEnd): void {
    const span = this.#span;
    if (span.ended) return;
    const status = end.status ?? this.#status;
    if (status !== null) span.add(HTTP_RESPONSE_STATUS_CODE, status);
    const errorType = attemptErrorType(end);
    if (errorType !== null) {
      span.add(ERROR_TYPE, errorType);
      span.fail();
    }
    span.end(this.#clock.now());
  }
}

/**
 * `server.*` and `url.full` name the Host that was sent, as the conventions ask, also where that is
 * the client's; which machine it went to is in `leastwise.backend.id` and `network.peer.*`.
 */
export function describeAttempt(
  span: RecordedSpan,
  facts: AttemptFacts,
  groups: SpanGroups,
  redact: Redactor,
): void {
  const { group, scheme } = groups.backend(facts);
  span.addGroup(group);
  span.addGroup(groups.authority(facts.host, scheme));
  span.add(URL_FULL, `${scheme}://${facts.host}${redactTarget(facts.target, redact)}`);
  span.add(BACKEND_IN_FLIGHT, facts.inFlight);
  span.add(CANDIDATES, facts.candidates);
  span.add(FALLBACK, facts.fallback);
  if (facts.affinity) span.add(AFFINITY, true);
  // Tenths are as fine as the clock is.
  else span.add(PICK_DURATION_US, Math.round(facts.pickMs * 10_000) / 10);
  if (facts.number > 1) span.add(HTTP_REQUEST_RESEND_COUNT, facts.number - 1);
  if (facts.retryReason !== null) span.add(RETRY_REASON, facts.retryReason);
  if (facts.decision !== null) span.add(EJECTED_COUNT, facts.decision.ejected);
}
