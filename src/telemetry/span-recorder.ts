import {
  type Attributes,
  type Link,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  trace,
  TraceFlags,
} from "@opentelemetry/api";
import { type Sampler, SamplingDecision } from "@opentelemetry/sdk-trace";
import { RecordedSpan, type SpanOrigin } from "./recorded-span.ts";
import { SpanIds } from "./span-ids.ts";

export interface SpanRecorderOptions extends SpanOrigin {
  readonly sampler: Sampler;
}

const NO_LINKS: readonly SpanContext[] = [];
const NO_ATTRIBUTES: Attributes = {};
const NO_SDK_LINKS: Link[] = [];

/** Makes spans: in place of the SDK's tracer, with its samplers and for its processors. */
export class SpanRecorder {
  readonly #options: SpanRecorderOptions;
  readonly #origin: SpanOrigin;
  readonly #ids = new SpanIds();
  /** Requests' spans that have not ended. */
  #open = 0;
  /** Called when there are none; null: nobody waits for that. */
  #onClosed: (() => void) | null = null;

  constructor(options: SpanRecorderOptions) {
    this.#options = options;
    this.#origin = { ...options, onEnd: (span) => this.#ended(span) };
  }

  /** Resolves when no request's span is open, or else after `timeoutMs`. */
  async closed(timeoutMs: number): Promise<void> {
    if (this.#open === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onClosed = resolve;
    const timer = setTimeout(resolve, timeoutMs);
    await promise;
    clearTimeout(timer);
  }

  /**
   * The context of a request's span, and in its flags whether it is to be recorded. Samplers see no
   * attributes: none that `OTEL_TRACES_SAMPLER` can name looks at them.
   *
   * `parent`: null begins a trace.
   */
  sample(name: string, parent: SpanContext | null, links: readonly SpanContext[]): SpanContext {
    const traceId = parent?.traceId ?? this.#ids.traceId();
    const { decision, traceState = parent?.traceState } = this.#options.sampler.shouldSample(
      parent === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent),
      traceId,
      name,
      SpanKind.SERVER,
      NO_ATTRIBUTES,
      links.length === 0 ? NO_SDK_LINKS : links.map(toLink),
    );
    const traceFlags =
      decision === SamplingDecision.RECORD_AND_SAMPLED ? TraceFlags.SAMPLED : TraceFlags.NONE;
    const context = { traceId, spanId: this.#ids.spanId(), traceFlags };
    return traceState === undefined ? context : { ...context, traceState };
  }

  startRequest(
    name: string,
    context: SpanContext,
    parent: SpanContext | null,
    links: readonly SpanContext[],
    atMs: number,
  ): RecordedSpan {
    this.#open++;
    const start = { name, kind: SpanKind.SERVER, context, parent, links, atMs };
    return new RecordedSpan(start, this.#origin);
  }

  /** Recorded as its request is. */
  startAttempt(name: string, parent: SpanContext, atMs: number): RecordedSpan {
    const { traceId, traceFlags, traceState } = parent;
    const own = { traceId, spanId: this.#ids.spanId(), traceFlags };
    const context = traceState === undefined ? own : { ...own, traceState };
    const start = { name, kind: SpanKind.CLIENT, context, parent, links: NO_LINKS, atMs };
    return new RecordedSpan(start, this.#origin);
  }

  #ended(span: RecordedSpan): void {
    this.#options.onEnd(span);
    if (span.kind !== SpanKind.SERVER) return;
    this.#open--;
    if (this.#open === 0) this.#onClosed?.();
  }
}

function toLink(context: SpanContext): Link {
  return { context };
}
