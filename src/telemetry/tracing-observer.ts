import { type SpanContext, TraceFlags } from "@opentelemetry/api";
import type { TelemetryConfig } from "../config/config.ts";
import type { HeaderField } from "../proxy/front.ts";
import type {
  ObservedAttempt,
  ObservedRequest,
  RequestFacts,
  RequestObserver,
} from "../proxy/observer.ts";
import { isPrivateAddress } from "./private-address.ts";
import { createRedactor } from "./redact.ts";
import { RequestClock } from "./request-clock.ts";
import { RequestSpan, type SpanMaking } from "./request-span.ts";
import { SpanGroups } from "./span-groups.ts";
import type { SpanRecorder } from "./span-recorder.ts";
import { BAGGAGE, readTraceContext, traceparentField, TRACESTATE } from "./trace-context.ts";

export interface TracingOptions {
  readonly recorder: SpanRecorder;
  readonly knownMethods: ReadonlySet<string>;
  /** Whether trace context is read from clients and sent to backends. */
  readonly propagate: boolean;
  readonly trust: TelemetryConfig["trust"];
  /** Keys of the query whose values are secrets, beside those of the conventions. Lower case. */
  readonly redactQuery: readonly string[];
}

/**
 * One SERVER span per request and one CLIENT span per attempt.
 *
 * Trace context is continued when the connection's other end is trusted. For anyone else a new trace starts, linked to the foreign one, and their `tracestate` and
 * `baggage` go no further (W3C Trace Context, section 5.1: a restart at a boundary of trust).
 *
 * Context is passed from object to object, never through AsyncLocalStorage.
 */
export function createTracingObserver(options: TracingOptions): RequestObserver {
  return new TracingObserver(options);
}

const NOTHING: readonly string[] = [];
const NO_LINKS: readonly SpanContext[] = [];
/** Without a valid `traceparent` a `tracestate` means nothing (W3C Trace Context, section 3.3). */
const STATE: readonly string[] = [TRACESTATE];
const STATE_AND_BAGGAGE: readonly string[] = [TRACESTATE, BAGGAGE];

/** Of clients: the same few ask again and again. */
const MAX_ADDRESSES = 1024;

class TracingObserver implements RequestObserver {
  readonly #options: TracingOptions;
  readonly #making: SpanMaking;
  readonly #privateAddresses = new Map<string, boolean>();

  constructor(options: TracingOptions) {
    this.#options = options;
    const { recorder, propagate, knownMethods, redactQuery } = options;
    const groups = new SpanGroups(knownMethods);
    this.#making = { recorder, propagate, groups, redact: createRedactor(redactQuery) };
  }

  requestStarted(facts: RequestFacts): ObservedRequest | null {
    const { recorder, knownMethods, propagate } = this.#options;
    const { method, headers, peerAddress } = facts.request;
    const incoming = propagate ? readTraceContext(headers) : null;
    const trusted = this.#isTrusted(peerAddress, facts.trustedPeer);
    const parent = trusted ? incoming : null;
    const links = trusted || incoming === null ? NO_LINKS : [incoming];
    const name = knownMethods.has(method) ? method : "HTTP";
    const context = recorder.sample(name, parent, links);
    if ((context.traceFlags & TraceFlags.SAMPLED) === 0) {
      // Untouched, so that the sender's decision to sample holds for the backend.
      if (!propagate || parent !== null) return null;
      return new UnsampledRequest(
        traceparentField(context),
        removedFields(propagate, trusted, incoming),
      );
    }
    const clock = new RequestClock(facts.startedAt);
    const span = recorder.startRequest(name, context, parent, links, clock.startMs);
    const removed = removedFields(propagate, trusted, incoming);
    return new RequestSpan(this.#making, span, clock, facts, removed);
  }

  #isTrusted(peerAddress: string, trustedProxy: boolean): boolean {
    const { trust } = this.#options;
    if (trust !== "private") return trust === "always";
    // Empty on a unix socket, which only this machine can reach.
    return trustedProxy || peerAddress === "" || this.#isPrivate(peerAddress);
  }

  #isPrivate(address: string): boolean {
    let known = this.#privateAddresses.get(address);
    if (known === undefined) {
      known = isPrivateAddress(address);
      if (this.#privateAddresses.size >= MAX_ADDRESSES) this.#privateAddresses.clear();
      this.#privateAddresses.set(address, known);
    }
    return known;
  }
}

/** A new trace that is not sampled: the backends are told so, and nothing is recorded. */
class UnsampledRequest implements ObservedRequest, ObservedAttempt {
  readonly wantsDecision = false;
  readonly headers: readonly HeaderField[];
  readonly removed: readonly string[];

  constructor(traceparent: HeaderField, removed: readonly string[]) {
    this.headers = [traceparent];
    this.removed = removed;
  }

  routed(): void {}

  attemptStarting(): ObservedAttempt {
    return this;
  }

  retryRefused(): void {}

  connected(): void {}

  reconnecting(): void {}

  responded(): void {}

  ended(): void {}
}

function removedFields(
  propagate: boolean,
  trusted: boolean,
  incoming: SpanContext | null,
): readonly string[] {
  if (!propagate) return NOTHING;
  if (!trusted) return STATE_AND_BAGGAGE;
  return incoming === null ? STATE : NOTHING;
}
