/**
 * Spans as OTLP's `ExportTraceServiceRequest` (opentelemetry/proto/trace/v1/trace.proto). It writes
 * the bytes that the SDK's own serializer writes, at a fraction of the time that this one takes: at a
 * sampling ratio of 1 it would be a fifth of all that a worker does.
 */
import type { HrTime, Link, SpanContext } from "@opentelemetry/api";
import {
  type IExportTraceServiceResponse,
  type ISerializer,
  ProtobufTraceSerializer,
} from "@opentelemetry/otlp-transformer";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import { AttributeEncoder } from "./attribute-encoder.ts";
import { FIXED32, FIXED64, LENGTH, ProtobufWriter, VARINT } from "./protobuf-writer.ts";

type Resource = ReadableSpan["resource"];
type Scope = ReadableSpan["instrumentationScope"];
type Scopes = Map<Scope, ReadableSpan[]>;

/** `SpanFlags`: bits 0-7 are the W3C's, bit 8 says that bit 9 is set for a remote parent. */
const W3C_FLAGS = 0xff;
const HAS_IS_REMOTE = 0x100;
const IS_REMOTE = 0x200;

const TWO_32 = 2 ** 32;

export class SpanEncoder implements ISerializer<ReadableSpan[], IExportTraceServiceResponse> {
  readonly #writer = new ProtobufWriter();
  readonly #attributes = new AttributeEncoder(this.#writer);
  #second = 0;
  /** Nanoseconds of that second since 1970, the upper and the lower 32 bits. */
  #high = 0;
  #low = 0;

  serializeRequest(spans: ReadableSpan[]): Uint8Array {
    const writer = this.#writer;
    writer.restart();
    for (const [resource, scopes] of byOrigin(spans)) {
      writer.tag(1, LENGTH);
      this.#resourceSpans(resource, scopes);
    }
    return writer.finish();
  }

  deserializeResponse(data: Uint8Array): IExportTraceServiceResponse {
    return ProtobufTraceSerializer.deserializeResponse(data);
  }

  #resourceSpans(resource: Resource, scopes: Scopes): void {
    const writer = this.#writer;
    const start = writer.begin();
    writer.tag(1, LENGTH);
    const head = writer.begin();
    this.#attributes.attributes(1, resource.attributes);
    this.#count(2, 0);
    writer.end(head);
    for (const [scope, spans] of scopes) {
      writer.tag(2, LENGTH);
      this.#scopeSpans(scope, spans);
    }
    this.#text(3, resource.schemaUrl);
    writer.end(start);
  }

  #scopeSpans(scope: Scope, spans: readonly ReadableSpan[]): void {
    const writer = this.#writer;
    const start = writer.begin();
    writer.tag(1, LENGTH);
    const head = writer.begin();
    writer.tag(1, LENGTH);
    writer.text(scope.name);
    this.#text(2, scope.version);
    writer.end(head);
    for (const span of spans) {
      writer.tag(2, LENGTH);
      this.#span(span);
    }
    this.#text(3, scope.schemaUrl);
    writer.end(start);
  }

  #span(span: ReadableSpan): void {
    const writer = this.#writer;
    const parent = span.parentSpanContext;
    const context = span.spanContext();
    const start = writer.begin();
    this.#context(context);
    if (parent !== undefined) {
      writer.tag(4, LENGTH);
      writer.hex(parent.spanId);
    }
    writer.tag(5, LENGTH);
    this.#attributes.name(span.name);
    // The API counts kinds from 0, OTLP has `unspecified` there.
    this.#count(6, span.kind + 1);
    this.#time(7, span.startTime);
    this.#time(8, span.endTime);
    this.#attributes.attributes(9, span.attributes);
    this.#count(10, span.droppedAttributesCount);
    for (const event of span.events) {
      writer.tag(11, LENGTH);
      this.#event(event);
    }
    this.#count(12, span.droppedEventsCount);
    for (const link of span.links) {
      writer.tag(13, LENGTH);
      this.#link(link);
    }
    this.#count(14, span.droppedLinksCount);
    writer.tag(15, LENGTH);
    const status = writer.begin();
    this.#text(2, span.status.message);
    this.#count(3, span.status.code);
    writer.end(status);
    writer.tag(16, FIXED32);
    writer.fixed32(flags(context, parent));
    writer.end(start);
  }

  #event(event: ReadableSpan["events"][number]): void {
    const writer = this.#writer;
    const start = writer.begin();
    this.#time(1, event.time);
    writer.tag(2, LENGTH);
    this.#attributes.name(event.name);
    if (event.attributes !== undefined) this.#attributes.attributes(3, event.attributes);
    this.#count(4, event.droppedAttributesCount ?? 0);
    writer.end(start);
  }

  #link({ context, attributes, droppedAttributesCount }: Link): void {
    const writer = this.#writer;
    const start = writer.begin();
    this.#context(context);
    if (attributes !== undefined) this.#attributes.attributes(4, attributes);
    this.#count(5, droppedAttributesCount ?? 0);
    writer.tag(6, FIXED32);
    writer.fixed32(flags(context, context));
    writer.end(start);
  }

  /** Spans and links begin with the same three fields. */
  #context({ traceId, spanId, traceState }: SpanContext): void {
    const writer = this.#writer;
    writer.tag(1, LENGTH);
    writer.hex(traceId);
    writer.tag(2, LENGTH);
    writer.hex(spanId);
    this.#text(3, traceState?.serialize());
  }

  #text(field: number, text: string | undefined): void {
    if (text === undefined || text === "") return;
    this.#writer.tag(field, LENGTH);
    this.#writer.text(text);
  }

  #count(field: number, count: number): void {
    this.#writer.tag(field, VARINT);
    this.#writer.varint(count);
  }

  /** Nanoseconds do not fit a number: they are written in two halves, of which those of the second are kept. */
  #time(field: number, [seconds, nanos]: HrTime): void {
    if (seconds !== this.#second) this.#split(seconds);
    const low = this.#low + nanos;
    const carried = low >= TWO_32 ? 1 : 0;
    this.#writer.tag(field, FIXED64);
    this.#writer.fixed64(this.#high + carried, carried === 0 ? low : low - TWO_32);
  }

  #split(seconds: number): void {
    const nanos = BigInt(seconds) * 1_000_000_000n;
    this.#second = seconds;
    this.#high = Number(nanos >> 32n);
    this.#low = Number(nanos & 0xffffffffn);
  }
}

function flags(context: SpanContext, parent: SpanContext | undefined): number {
  const remote = parent?.isRemote === true ? IS_REMOTE : 0;
  return (context.traceFlags & W3C_FLAGS) | HAS_IS_REMOTE | remote;
}

function byOrigin(spans: readonly ReadableSpan[]): Map<Resource, Scopes> {
  const resources = new Map<Resource, Scopes>();
  for (const span of spans) {
    let scopes = resources.get(span.resource);
    if (scopes === undefined) resources.set(span.resource, (scopes = new Map()));
    const same = scopes.get(span.instrumentationScope);
    if (same === undefined) scopes.set(span.instrumentationScope, [span]);
    else same.push(span);
  }
  return resources;
}
