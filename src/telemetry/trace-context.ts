/** W3C Trace Context (https://www.w3.org/TR/trace-context/): header fields in, header fields out. */
import { createTraceState, type SpanContext, TraceFlags } from "@opentelemetry/api";
import type { HeaderReader } from "../plugin.ts";
import type { HeaderField } from "../proxy/front.ts";

/** The field names, lower case. */
export const TRACEPARENT = "traceparent";
export const TRACESTATE = "tracestate";
export const BAGGAGE = "baggage";

/** version 00: `00-<trace id>-<parent id>-<flags>`; a higher version may go on after another `-`. */
const TRACEPARENT_FORM = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const ZERO_TRACE_ID = "0".repeat(32);
const ZERO_SPAN_ID = "0".repeat(16);

/**
 * The context that the sender of a request was in; null when there is none or it is invalid. A
 * repeated `traceparent` arrives joined with a comma and is invalid by its form (section 3.2.2.5).
 */
export function readTraceContext(headers: HeaderReader): SpanContext | null {
  const field = headers.get(TRACEPARENT);
  if (field === null) return null;
  const match = TRACEPARENT_FORM.exec(field.trim());
  if (match === null) return null;
  const [, version = "", traceId = "", spanId = "", flags = "", rest] = match;
  if (version === "ff" || (version === "00" && rest !== undefined)) return null;
  if (traceId === ZERO_TRACE_ID || spanId === ZERO_SPAN_ID) return null;
  const traceFlags = Number.parseInt(flags, 16) & TraceFlags.SAMPLED;
  const state = headers.get(TRACESTATE);
  return state === null
    ? { traceId, spanId, traceFlags, isRemote: true }
    : { traceId, spanId, traceFlags, isRemote: true, traceState: createTraceState(state) };
}

export function traceparentField(context: SpanContext): HeaderField {
  const flags = (context.traceFlags & TraceFlags.SAMPLED) === 0 ? "00" : "01";
  return [TRACEPARENT, `00-${context.traceId}-${context.spanId}-${flags}`];
}
