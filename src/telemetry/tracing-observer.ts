import {
  type Context,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  trace,
  type Tracer,
} from "@opentelemetry/api";
import type { TelemetryConfig } from "../config/config.ts";
import type { Backend } from "../plugin.ts";
import type { HeaderField } from "../proxy/front.ts";
import type {
  ObservedAttempt,
  ObservedRequest,
  RequestFacts,
  RequestObserver,
} from "../proxy/observer.ts";
import { type BackendPeer, backendPeer } from "./backend-peer.ts";
import { isPrivateAddress } from "./private-address.ts";
import { RequestClock } from "./request-clock.ts";
import { describeRequest, methodAttributes, RequestSpan } from "./request-span.ts";
import { BAGGAGE, readTraceContext, traceparentField, TRACESTATE } from "./trace-context.ts";

export interface TracingOptions {
  readonly tracer: Tracer;
  readonly knownMethods: ReadonlySet<string>;
  /** Whether trace context is read from clients and sent to backends. */
  readonly propagate: boolean;
  readonly trust: TelemetryConfig["trust"];
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
/** Without a valid `traceparent` a `tracestate` means nothing (W3C Trace Context, section 3.3). */
const STATE: readonly string[] = [TRACESTATE];
const STATE_AND_BAGGAGE: readonly string[] = [TRACESTATE, BAGGAGE];

/** Of clients: the same few ask again and again. */
const MAX_ADDRESSES = 1024;

class TracingObserver implements RequestObserver {
  readonly #options: TracingOptions;
  readonly #peers = new WeakMap<Backend, BackendPeer>();
  readonly #privateAddresses = new Map<string, boolean>();

  constructor(options: TracingOptions) {
    this.#options = options;
  }

  requestStarted(facts: RequestFacts): ObservedRequest | null {
    const { tracer, knownMethods, propagate } = this.#options;
    const { method, headers, peerAddress } = facts.request;
    const incoming = propagate ? readTraceContext(headers) : null;
    const trusted = this.#isTrusted(peerAddress, facts.trustedPeer);
    const known = knownMethods.has(method);
    const name = known ? method : "HTTP";

    const parent: Context =
      trusted && incoming !== null ? trace.setSpanContext(ROOT_CONTEXT, incoming) : ROOT_CONTEXT;
    const clock = new RequestClock();
    // Attributes come after the start: no sampler that OTEL_TRACES_SAMPLER can name looks at them,
    // and a request that is not sampled then pays for none.
    const span = tracer.startSpan(
      name,
      { kind: SpanKind.SERVER, links: links(trusted, incoming), startTime: clock.start() },
      parent,
    );

    const removed = removedFields(propagate, trusted, incoming);
    if (!span.isRecording()) {
      // Untouched, so that the sender's decision to sample holds for the backend.
      if (!propagate || (trusted && incoming !== null)) return null;
      return new UnsampledRequest(traceparentField(span.spanContext()), removed);
    }
    const attributes = methodAttributes(method, known);
    describeRequest(span, facts);
    span.setAttributes(attributes);
    return new RequestSpan({
      tracer,
      span,
      clock,
      name,
      method: attributes,
      propagate,
      removed,
      peerOf: this.#peerOf,
    });
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

  readonly #peerOf = (backend: Backend): BackendPeer => {
    let peer = this.#peers.get(backend);
    if (peer === undefined) {
      peer = backendPeer(backend);
      this.#peers.set(backend, peer);
    }
    return peer;
  };
}

/** A new trace that is not sampled: the backend is told so, and nothing is recorded. */
class UnsampledRequest implements ObservedRequest {
  readonly wantsDecision = false;
  readonly #attempt: UnsampledAttempt;

  constructor(traceparent: HeaderField, removed: readonly string[]) {
    this.#attempt = new UnsampledAttempt(traceparent, removed);
  }

  routed(): void {}

  attemptStarting(): ObservedAttempt {
    return this.#attempt;
  }

  retryRefused(): void {}

  ended(): void {}
}

class UnsampledAttempt implements ObservedAttempt {
  readonly headers: readonly HeaderField[];
  readonly removed: readonly string[];

  constructor(traceparent: HeaderField, removed: readonly string[]) {
    this.headers = [traceparent];
    this.removed = removed;
  }

  connected(): void {}

  reconnecting(): void {}

  responded(): void {}

  ended(): void {}
}

function links(trusted: boolean, incoming: SpanContext | null): { context: SpanContext }[] {
  return trusted || incoming === null ? [] : [{ context: incoming }];
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
