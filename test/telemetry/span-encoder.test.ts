import { describe, expect, test } from "bun:test";
import {
  type Attributes,
  type AttributeValue,
  createTraceState,
  type HrTime,
  SpanKind,
  SpanStatusCode,
} from "@opentelemetry/api";
import { ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import fc from "fast-check";
import { AttributeGroup } from "../../src/telemetry/attribute-group.ts";
import { RecordedSpan } from "../../src/telemetry/recorded-span.ts";
import { RecordingLimits } from "../../src/telemetry/recording-limits.ts";
import { SpanEncoder } from "../../src/telemetry/span-encoder.ts";
import { spansFromProtobuf } from "../_support/otlp-trace.ts";

const RESOURCES = [
  resourceFromAttributes({ "service.name": "shop", "service.version": "1.0" }),
  resourceFromAttributes({ "host.name": "naïve" }, { schemaUrl: "https://schema.example/1" }),
];
const SCOPES = [
  { name: "leastwise", version: "1.2.3" },
  { name: "", schemaUrl: "https://schema.example/2" },
];

function spanWith(parts: Partial<ReadableSpan> = {}): ReadableSpan {
  return {
    name: "GET",
    kind: SpanKind.CLIENT,
    spanContext: () => ({
      traceId: "0af7651916cd43dd8448eb211c80319c",
      spanId: "b7ad6b7169203331",
      traceFlags: 1,
    }),
    startTime: [1_700_000_000, 999_999_999],
    endTime: [1_700_000_001, 0],
    status: { code: SpanStatusCode.UNSET },
    attributes: {},
    links: [],
    events: [],
    duration: [0, 1],
    ended: true,
    resource: RESOURCES[0]!,
    instrumentationScope: SCOPES[0]!,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
    ...parts,
  };
}

function expectSameBytes(encoder: SpanEncoder, spans: ReadableSpan[]): void {
  const expected = ProtobufTraceSerializer.serializeRequest(spans) ?? new Uint8Array();
  expect(encoder.serializeRequest(spans).toHex()).toBe(expected.toHex());
}

const text = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: "binary", maxLength: 40 }),
  // Around where a length takes another byte, and where another way of writing begins.
  fc.constantFrom(
    "",
    "a",
    "ü",
    "\ud800",
    "x".repeat(96),
    "x".repeat(97),
    "é".repeat(64),
    "y".repeat(200),
  ),
  fc.nat(40_000).map((length) => "é".repeat(length)),
);
const number = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.maxSafeInteger(),
  fc.constantFrom(0, -0, 127, 128, 2 ** 31, 2 ** 32 - 1, 2 ** 32, -(2 ** 63), 2 ** 63, 2 ** 64, -1),
);
/** What an attribute can hold, and what the SDK lets through beyond its own types. */
const value = fc.oneof(
  text,
  number,
  fc.boolean(),
  fc.constant(null),
  fc.uint8Array(),
  fc.array(fc.oneof(text, fc.constant(null), fc.constant(undefined))),
  fc.array(number),
  fc.array(fc.boolean()),
  fc.dictionary(text, fc.oneof(number, fc.array(text))),
);
const name = fc.oneof(fc.constantFrom("url.path", "server.port", "leastwise.pool"), text);
const attributes = fc.dictionary(name, value, { maxKeys: 8 }) as fc.Arbitrary<
  ReadableSpan["attributes"]
>;
const hrTime: fc.Arbitrary<HrTime> = fc.tuple(
  fc.oneof(
    fc.integer({ min: 0, max: 2 ** 33 }),
    fc.integer({ min: 1_700_000_000, max: 1_700_000_002 }),
  ),
  fc.integer({ min: 0, max: 999_999_999 }),
);
const hex = (digits: number) =>
  fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: digits, maxLength: digits });
const context = fc.record(
  {
    traceId: hex(32),
    spanId: hex(16),
    traceFlags: fc.integer({ min: 0, max: 255 }),
    isRemote: fc.boolean(),
    traceState: fc.constantFrom("", "a=1", "a=1,b=2").map((state) => createTraceState(state)),
  },
  { requiredKeys: ["traceId", "spanId", "traceFlags"] },
);
const count = fc.oneof(fc.constant(0), fc.nat());
const event = fc.record(
  { name, time: hrTime, attributes, droppedAttributesCount: count },
  { requiredKeys: ["name", "time"] },
);
const link = fc.record(
  { context, attributes, droppedAttributesCount: count },
  { requiredKeys: ["context"] },
);
const span: fc.Arbitrary<ReadableSpan> = fc
  .record(
    {
      name,
      kind: fc.integer({ min: 0, max: 4 }),
      context,
      parentSpanContext: context,
      startTime: hrTime,
      endTime: hrTime,
      status: fc.record(
        { code: fc.integer({ min: 0, max: 2 }), message: text },
        { requiredKeys: ["code"] },
      ),
      attributes,
      links: fc.array(link, { maxLength: 3 }),
      events: fc.array(event, { maxLength: 3 }),
      resource: fc.constantFrom(...RESOURCES),
      instrumentationScope: fc.constantFrom(...SCOPES),
      droppedAttributesCount: count,
      droppedEventsCount: count,
      droppedLinksCount: count,
    },
    { noNullPrototype: true },
  )
  .map(({ context: own, ...parts }) => spanWith({ ...parts, spanContext: () => own }));

const limits = fc.record({
  attributes: fc.constantFrom(0, 1, 3, 128),
  attributeLength: fc.constantFrom(null, 0, 5),
  events: fc.constantFrom(0, 1, 128),
  links: fc.constantFrom(0, 1, 128),
  eventAttributes: fc.constantFrom(0, 1, 128),
  linkAttributes: fc.constant(128),
});
const simpleValue = fc.oneof(text, number, fc.boolean(), fc.array(text), fc.array(number));
// In an object, which the SDK has, names that are whole numbers come before all others.
const ownName = text.filter((each) => !/^\d+$/.test(each));
const distinctPairs = fc.uniqueArray(fc.tuple(ownName, simpleValue), {
  selector: ([own]) => own,
  maxLength: 6,
});
const ms = fc.double({ min: 0, max: 4e12, noNaN: true });

/** As the request path makes them: attributes in groups and alone, then events, then the end. */
const recordedSpan = fc
  .record({
    start: fc.record({
      name,
      kind: fc.integer({ min: 0, max: 4 }),
      context,
      parent: fc.option(context),
      links: fc.array(context, { maxLength: 3 }),
      atMs: ms,
    }),
    limits,
    pairs: distinctPairs,
    grouped: fc.nat(6),
    events: fc.array(fc.tuple(name, ms, fc.option(fc.dictionary(text, simpleValue))), {
      maxLength: 3,
    }),
    failed: fc.boolean(),
    endMs: ms,
  })
  .map((parts) => {
    const recorded = new RecordedSpan(parts.start, {
      resource: RESOURCES[0]!,
      scope: SCOPES[0]!,
      limits: new RecordingLimits(parts.limits),
      onEnd() {},
    });
    const pairs = parts.pairs as [string, AttributeValue][];
    recorded.addGroup(new AttributeGroup(Object.fromEntries(pairs.slice(0, parts.grouped))));
    for (const [own, each] of pairs.slice(parts.grouped)) recorded.add(own, each);
    for (const [own, atMs, each] of parts.events) recorded.addEvent(own, atMs, each as Attributes);
    if (parts.failed) recorded.fail();
    recorded.end(parts.endMs);
    return recorded;
  });

describe("the same bytes as the SDK's own serializer", () => {
  test("for any spans, batch after batch", () => {
    const encoder = new SpanEncoder();
    fc.assert(
      fc.property(fc.array(span, { maxLength: 5 }), (spans) => {
        expectSameBytes(encoder, spans);
        // What is kept by now gives the same.
        expectSameBytes(encoder, spans);
      }),
      { seed: 20_261_122 },
    );
  }, 120_000); // Five seconds of a free processor.

  test("for the spans of the request path, at once and when they were encoded at their end", () => {
    const encoder = new SpanEncoder();
    fc.assert(
      fc.property(fc.array(recordedSpan, { maxLength: 5 }), (spans) => {
        const expected = ProtobufTraceSerializer.serializeRequest(spans) ?? new Uint8Array();
        expect(encoder.serializeRequest(spans).toHex()).toBe(expected.toHex());
        for (const each of spans) encoder.settle(each, Number.POSITIVE_INFINITY);
        expect(encoder.serializeRequest(spans).toHex()).toBe(expected.toHex());
      }),
      { seed: 20_261_122 },
    );
  });

  test("for spans that were encoded at their end, over more than a page of them", () => {
    const encoder = new SpanEncoder();
    const make = (length: number) => {
      const recorded = new RecordedSpan(
        {
          name: "GET",
          kind: SpanKind.SERVER,
          context: spanWith().spanContext(),
          parent: null,
          links: [],
          atMs: 1_700_000_000_000.25,
        },
        {
          resource: RESOURCES[0]!,
          scope: SCOPES[0]!,
          limits: new RecordingLimits({
            attributes: 128,
            attributeLength: null,
            events: 128,
            links: 128,
            eventAttributes: 128,
            linkAttributes: 128,
          }),
          onEnd() {},
        },
      );
      recorded.add("url.path", "p".repeat(length));
      recorded.end(1_700_000_000_001);
      return recorded;
    };
    const lengths = [10, 40_000, 30_000, 100_000, 10];
    const spans = lengths.map(make);
    const expected = ProtobufTraceSerializer.serializeRequest(spans) ?? new Uint8Array();
    for (const each of spans) encoder.settle(each, Number.POSITIVE_INFINITY);
    expect(encoder.serializeRequest(spans).toHex()).toBe(expected.toHex());
  });

  test("for a root without anything", () => {
    expectSameBytes(new SpanEncoder(), [spanWith()]);
    expectSameBytes(new SpanEncoder(), []);
  });

  test("for an attribute with more values than are kept, some of which repeat", () => {
    const encoder = new SpanEncoder();
    for (let batch = 0; batch < 100; batch++) {
      const spans = Array.from({ length: 100 }, (_, i) =>
        spanWith({
          attributes: {
            path: `/${batch * 100 + i}`,
            sometimes: i % 2 === 0 ? i : batch * 100 + i,
            same: "a",
            mixed: [1, "1", true][i % 3]!,
          },
        }),
      );
      expectSameBytes(encoder, spans);
    }
  });

  test("for more names than are kept", () => {
    const spans = Array.from({ length: 300 }, (_, i) =>
      spanWith({
        name: `span ${i}`,
        attributes: { [`name ${i}`]: i },
        events: [{ name: `e${i}`, time: [1, i] }],
      }),
    );
    const encoder = new SpanEncoder();
    expectSameBytes(encoder, spans);
    expectSameBytes(encoder, spans);
  });

  test("for a batch of many megabytes, and for a small one after it", () => {
    const encoder = new SpanEncoder();
    const long = "z".repeat(1 << 20);
    expectSameBytes(
      encoder,
      Array.from({ length: 6 }, () => spanWith({ attributes: { long } })),
    );
    expectSameBytes(encoder, [spanWith({ attributes: { short: "s" } })]);
  });
});

test("what was handed out stays as it was when the next batch is written", () => {
  const encoder = new SpanEncoder();
  const first = encoder.serializeRequest([spanWith({ name: "first" })]);
  encoder.serializeRequest([spanWith({ name: "other" })]);
  expect(spansFromProtobuf(first).map((received) => received.name)).toEqual(["first"]);
});

test("a span that cannot be encoded does not spoil the batch after it", () => {
  const encoder = new SpanEncoder();
  const broken = spanWith({
    spanContext: () => {
      throw new Error("broken");
    },
  });
  expect(() => encoder.serializeRequest([spanWith(), broken])).toThrow("broken");
  expectSameBytes(encoder, [spanWith()]);
});
