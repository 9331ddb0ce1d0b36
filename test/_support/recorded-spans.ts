/** A tracing observer over the real SDK, its spans kept in memory. */
import { expect } from "bun:test";
import type { SpanKind } from "@opentelemetry/api";
import {
  InMemorySpanExporter,
  type ReadableSpan,
  type Sampler,
  SimpleSpanProcessor,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { ErrorCode } from "../../src/errors.ts";
import type { ObservedAttempt, RequestObserver } from "../../src/proxy/observer.ts";
import { knownMethods } from "../../src/telemetry/request-method.ts";
import { createTracingObserver } from "../../src/telemetry/tracing-observer.ts";
import { attemptFacts, requestEnd, requestFacts, type RequestSketch } from "./observed-facts.ts";

/** Every span of `observerWith` ends here; reset it after each test. */
export const exporter = new InMemorySpanExporter();
export function observerWith(
  options: {
    sampler?: Sampler;
    propagate?: boolean;
    trust?: "private" | "always" | "never";
  } = {},
): RequestObserver {
  const provider = new TracerProvider({
    spanProcessors: [new SimpleSpanProcessor({ exporter })],
    ...(options.sampler === undefined ? {} : { sampler: options.sampler }),
  });
  return createTracingObserver({
    tracer: provider.getTracer("test"),
    knownMethods: knownMethods(null),
    propagate: options.propagate ?? true,
    trust: options.trust ?? "private",
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
