/** Whose trace context is continued. */
import { afterEach, describe, expect, test } from "bun:test";
import { SpanKind } from "@opentelemetry/api";
import { exporter, observerWith, sentField, serve, spanOf } from "../_support/recorded-spans.ts";

const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const SPAN_ID = "b7ad6b7169203331";
const HEADERS = {
  traceparent: `00-${TRACE_ID}-${SPAN_ID}-01`,
  tracestate: "vendor=1",
  baggage: "user=7",
};

afterEach(() => exporter.reset());

describe.each([
  ["private", "127.0.0.1", false, true],
  ["private", "203.0.113.9", false, false],
  ["private", "203.0.113.9", true, true],
  ["always", "203.0.113.9", false, true],
  ["never", "127.0.0.1", false, false],
  ["never", "10.1.2.3", true, false],
  ["never", "", false, false],
] as const)("%s, from %p, a trusted proxy: %p", (trust, peerAddress, trustedPeer, continued) => {
  test(continued ? "is continued" : "begins anew, with a link", () => {
    const attempt = serve(observerWith({ trust }), { peerAddress, trustedPeer, headers: HEADERS });
    const span = spanOf(SpanKind.SERVER);
    const links = span.links.map(({ context }) => [context.traceId, context.spanId]);
    expect(span.spanContext().traceId === TRACE_ID).toBe(continued);
    expect(span.parentSpanContext?.spanId).toBe(continued ? SPAN_ID : undefined);
    expect(links).toEqual(continued ? [] : [[TRACE_ID, SPAN_ID]]);
    expect(attempt?.removed).toEqual(continued ? [] : ["tracestate", "baggage"]);
    const { traceId, spanId } = spanOf(SpanKind.CLIENT).spanContext();
    expect(sentField(attempt, "traceparent")).toBe(`00-${traceId}-${spanId}-01`);
  });
});
