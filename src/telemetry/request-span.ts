import type { HeaderField } from "../proxy/front.ts";
import type {
  AttemptFacts,
  ObservedAttempt,
  ObservedRequest,
  RequestEnd,
  RequestFacts,
  RequestTrace,
} from "../proxy/observer.ts";
import { originalHost, originalScheme } from "../proxy/original-request.ts";
import { AttemptSpan, describeAttempt } from "./attempt-span.ts";
import type { AttributeGroup } from "./attribute-group.ts";
import {
  CLIENT_ADDRESS,
  ERROR_TYPE,
  EVENT_DECISION,
  EVENT_RETRY_REFUSED,
  HTTP_REQUEST_METHOD_ORIGINAL,
  HTTP_RESPONSE_STATUS_CODE,
  NETWORK_PEER_ADDRESS,
  URL_PATH,
  URL_QUERY,
  USER_AGENT_ORIGINAL,
} from "./attributes.ts";
import { decisionAttributes } from "./decision-event.ts";
import { requestErrorType } from "./error-type.ts";
import type { RecordedSpan } from "./recorded-span.ts";
import { type Redactor, withoutUser } from "./redact.ts";
import type { RequestClock } from "./request-clock.ts";
import type { SpanGroups } from "./span-groups.ts";
import type { SpanRecorder } from "./span-recorder.ts";
import { traceparentField } from "./trace-context.ts";

const NO_FIELDS: readonly HeaderField[] = [];

/** What the spans of all requests are made with. */
export interface SpanMaking {
  readonly recorder: SpanRecorder;
  readonly groups: SpanGroups;
  /** Whether the attempt's own context goes to the backend. */
  readonly propagate: boolean;
  readonly redact: Redactor;
}

/** The SERVER span of one request. It ends when the response body has been sent or broken. */
export class RequestSpan implements ObservedRequest {
  readonly wantsDecision = true;
  readonly trace: RequestTrace;
  readonly #making: SpanMaking;
  readonly #span: RecordedSpan;
  readonly #clock: RequestClock;
  /** The span's name without the route: the method, or `HTTP`. */
  readonly #name: string;
  readonly #method: AttributeGroup;
  /** Only of a method that is not known. */
  readonly #methodOriginal: string | null;
  /** The client's fields that no backend may see. */
  readonly #removed: readonly string[];

  constructor(
    making: SpanMaking,
    span: RecordedSpan,
    clock: RequestClock,
    facts: RequestFacts,
    removed: readonly string[],
  ) {
    this.#making = making;
    this.#span = span;
    this.#clock = clock;
    this.#name = span.name;
    this.#removed = removed;
    this.trace = span.context;
    const { method } = facts.request;
    this.#method = making.groups.method.of(method);
    this.#methodOriginal = span.name === method ? null : method;
    this.#addMethod(span);
    describeRequest(span, facts, making);
  }

  routed(pool: string, route: string | null): void {
    const { group, path } = this.#making.groups.route(pool, route);
    this.#span.addGroup(group);
    if (path !== null) this.#span.name = `${this.#name} ${path}`;
  }

  attemptStarting(facts: AttemptFacts): ObservedAttempt {
    const { recorder, groups, propagate, redact } = this.#making;
    const now = this.#clock.now();
    const span = recorder.startAttempt(this.#name, this.#span.context, now);
    this.#addMethod(span);
    describeAttempt(span, facts, groups, redact);
    if (facts.decision !== null) {
      span.addEvent(EVENT_DECISION, now, decisionAttributes(facts.decision));
    }
    const headers = propagate ? [traceparentField(span.context)] : NO_FIELDS;
    return new AttemptSpan(span, this.#clock, headers, this.#removed);
  }

  retryRefused(): void {
    this.#span.addEvent(EVENT_RETRY_REFUSED, this.#clock.now());
  }

  ended(end: RequestEnd): void {
    const span = this.#span;
    if (span.ended) return;
    if (end.status !== null) span.add(HTTP_RESPONSE_STATUS_CODE, end.status);
    const errorType = requestErrorType(end);
    if (errorType !== null) {
      span.add(ERROR_TYPE, errorType);
      span.fail();
    }
    span.end(this.#clock.now());
  }

  #addMethod(span: RecordedSpan): void {
    span.addGroup(this.#method);
    if (this.#methodOriginal !== null) {
      span.add(HTTP_REQUEST_METHOD_ORIGINAL, this.#methodOriginal);
    }
  }
}

/** All but the method's. */
function describeRequest(
  span: RecordedSpan,
  facts: RequestFacts,
  { groups, redact }: SpanMaking,
): void {
  const { request, trustedPeer, clientAddress } = facts;
  const { target, headers, peerAddress } = request;
  const scheme = (trustedPeer ? originalScheme(headers) : null) ?? request.scheme;
  const host = (trustedPeer ? originalHost(headers) : null) ?? facts.host;
  span.addGroup(groups.protocol(scheme, request.version));
  span.addGroup(groups.authority(host, scheme));
  const queryAt = target.indexOf("?");
  const path = queryAt === -1 ? target : target.slice(0, queryAt);
  // What is none, such as the authority of CONNECT, comes as it was sent.
  span.add(URL_PATH, path.startsWith("/") ? path : withoutUser(path));
  if (queryAt !== -1) span.add(URL_QUERY, redact(target.slice(queryAt + 1)));
  if (clientAddress === peerAddress) {
    // Both are empty on a unix socket.
    if (clientAddress !== "") span.addGroup(groups.client.of(clientAddress));
  } else {
    if (clientAddress !== "") span.add(CLIENT_ADDRESS, clientAddress);
    if (peerAddress !== "") span.add(NETWORK_PEER_ADDRESS, peerAddress);
  }
  const userAgent = headers.get("user-agent");
  if (userAgent !== null) span.add(USER_AGENT_ORIGINAL, userAgent);
}
