/** A tracing observer over the real SDK, its spans kept in memory. */
import { expect } from "bun:test";
import type { SpanKind } from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  AlwaysOnSampler,
  InMemorySpanExporter,
  ParentBasedSampler,
  type ReadableSpan,
  type Sampler,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace";
import type { TracesConfig } from "../../src/config/config.ts";
import type { ErrorCode } from "../../src/errors.ts";
import type { ObservedAttempt, RequestObserver } from "../../src/proxy/observer.ts";
import { knownMethods } from "../../src/telemetry/request-method.ts";
import { RecordingLimits } from "../../src/telemetry/recording-limits.ts";
import { SpanRecorder } from "../../src/telemetry/span-recorder.ts";
import { createTracingObserver } from "../../src/telemetry/tracing-observer.ts";
import { attemptFacts, requestEnd, requestFacts, type RequestSketch } from "./observed-facts.ts";

type Limits = TracesConfig["limits"];

/** The SDK's defaults. */
const LIMITS: Limits = {
  attributes: 128,
  attributeLength: null,
  events: 128,
  links: 128,
  eventAttributes: 128,
  linkAttributes: 128,
};

/** Every span of `observerWith` ends here; reset it after each test. */
export const exporter = new InMemorySpanExporter();
export function observerWith(
  options: {
    sampler?: Sampler;
    limits?: Partial<Limits>;
    propagate?: boolean;
    trust?: "private" | "always" | "never";
    redactQuery?: readonly string[];
  } = {},
): RequestObserver {
  const processor = new SimpleSpanProcessor({ exporter });
  return createTracingObserver({
    recorder: new SpanRecorder({
      sampler: options.sampler ?? new ParentBasedSampler({ root: new AlwaysOnSampler() }),
      resource: resourceFromAttributes({ "service.name": "test" }),
      scope: { name: "test" },
      limits: new RecordingLimits({ ...LIMITS, ...options.limits }),
      onEnd: (span) => processor.onEnd(span),
    }),
    knownMethods: knownMethods(null),
    propagate: options.propagate ?? true,
    trust: options.trust ?? "private",
    redactQuery: options.redactQuery ?? [],
  });
}

/** One request, one attempt, answered 200 unless told otherwise. */
export function serve(
  observer: RequestObserver,
  sketch: RequestSketch,
  end: {
    status?: number | null;
    error?: ErrorCode | null;
    outcome?: Parameters<ObservedAttempt["ended"]>[0]["outcome"];
  } = {},
): ObservedAttempt | null {
  const { status = 200, error = null, outcome = "ok" } = end;
  const request = observer.requestStarted(requestFacts(sketch));
  request?.routed("web", null);
  const attempt = request?.attemptStarting(attemptFacts()) ?? null;
  attempt?.ended({ outcome, status, error });
  request?.ended(requestEnd({ status, error }));
  return attempt;
}

/** The one finished span of that kind. */
export function spanOf(kind: SpanKind): ReadableSpan {
  const found = exporter.getFinishedSpans().filter((span) => span.kind === kind);
  expect(found).toHaveLength(1);
  return found[0]!;
}

export function sentField(attempt: ObservedAttempt | null, name: string): string | undefined {
  return attempt?.headers.find(([field]) => field === name)?.[1];
}
