/** An OTLP trace export (opentelemetry/proto/trace/v1/trace.proto) as plain data, from protobuf or JSON. */
import { type Message, readMessage } from "./otlp-protobuf.ts";

export type Value =
  string | number | boolean | null | readonly Value[] | { readonly [key: string]: Value };
export type Attributes = Readonly<Record<string, Value>>;

const KINDS = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"] as const;
const STATUSES = ["UNSET", "OK", "ERROR"] as const;

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for a root. */
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly name: string;
  readonly kind: (typeof KINDS)[number];
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Attributes;
  readonly events: readonly {
    readonly name: string;
    readonly timeNs: bigint;
    readonly attributes: Attributes;
  }[];
  readonly links: readonly {
    readonly traceId: string;
    readonly spanId: string;
    readonly attributes: Attributes;
  }[];
  readonly status: { readonly code: (typeof STATUSES)[number]; readonly message: string };
  /** Attributes of the process that sent it. */
  readonly resource: Attributes;
  readonly scope: { readonly name: string; readonly version: string };
}

export function spansFromProtobuf(body: Uint8Array): ReceivedSpan[] {
  return readMessage(body)
    .messages(1)
    .flatMap((resourceSpans) => {
      const resource = attributesOf(resourceSpans.message(1), 1);
      return resourceSpans.messages(2).flatMap((scopeSpans) => {
        const scope = scopeSpans.message(1);
        const about = {
          resource,
          scope: { name: scope?.text(1) ?? "", version: scope?.text(2) ?? "" },
        };
        return scopeSpans.messages(2).map((span) => ({ ...spanOf(span), ...about }));
      });
    });
}

function spanOf(span: Message): Omit<ReceivedSpan, "resource" | "scope"> {
  const status = span.message(15);
  return {
    traceId: span.hex(1),
    spanId: span.hex(2),
    traceState: span.text(3),
    parentSpanId: span.hex(4),
    name: span.text(5),
    kind: member(KINDS, Number(span.integer(6))),
    startNs: span.integer(7),
    endNs: span.integer(8),
    attributes: attributesOf(span, 9),
    events: span.messages(11).map((event) => ({
      timeNs: event.integer(1),
      name: event.text(2),
      attributes: attributesOf(event, 3),
    })),
    links: span.messages(13).map((link) => ({
      traceId: link.hex(1),
      spanId: link.hex(2),
      attributes: attributesOf(link, 4),
    })),
    status: {
      code: member(STATUSES, Number(status?.integer(3) ?? 0n)),
      message: status?.text(2) ?? "",
    },
  };
}

export function attributesOf(message: Message | null, number: number): Attributes {
  const pairs = message?.messages(number) ?? [];
  return Object.fromEntries(pairs.map((pair) => [pair.text(1), valueOf(pair.message(2))]));
}

function valueOf(value: Message | null): Value {
  if (value === null) return null;
  if (value.has(1)) return value.text(1);
  if (value.has(2)) return value.integer(2) !== 0n;
  if (value.has(3)) return Number(BigInt.asIntN(64, value.integer(3)));
  if (value.has(4)) return value.double(4);
  if (value.has(5)) return value.message(5)?.messages(1).map(valueOf) ?? [];
  if (value.has(6)) return attributesOf(value.message(6), 1);
  return null;
}

export function spansFromJson(text: string): ReceivedSpan[] {
  const request = JSON.parse(text) as JsonRequest;
  return (request.resourceSpans ?? []).flatMap(({ resource, scopeSpans }) =>
    (scopeSpans ?? []).flatMap(({ scope, spans }) =>
      (spans ?? []).map((span) => ({
        traceId: span.traceId,
        spanId: span.spanId,
        traceState: span.traceState ?? "",
        parentSpanId: span.parentSpanId ?? "",
        name: span.name,
        kind: member(KINDS, span.kind ?? 0),
        startNs: BigInt(span.startTimeUnixNano),
        endNs: BigInt(span.endTimeUnixNano),
        attributes: jsonAttributes(span.attributes),
        events: (span.events ?? []).map((event) => ({
          timeNs: BigInt(event.timeUnixNano),
          name: event.name,
          attributes: jsonAttributes(event.attributes),
        })),
        links: (span.links ?? []).map((link) => ({
          traceId: link.traceId,
          spanId: link.spanId,
          attributes: jsonAttributes(link.attributes),
        })),
        status: {
          code: member(STATUSES, span.status?.code ?? 0),
          message: span.status?.message ?? "",
        },
        resource: jsonAttributes(resource?.attributes),
        scope: { name: scope?.name ?? "", version: scope?.version ?? "" },
      })),
    ),
  );
}

interface JsonRequest {
  readonly resourceSpans?: readonly {
    readonly resource?: { readonly attributes?: readonly JsonPair[] };
    readonly scopeSpans?: readonly {
      readonly scope?: { readonly name?: string; readonly version?: string };
      readonly spans?: readonly JsonSpan[];
    }[];
  }[];
}

interface JsonSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceState?: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind?: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes?: readonly JsonPair[];
  readonly events?: readonly {
    timeUnixNano: string;
    name: string;
    attributes?: readonly JsonPair[];
  }[];
  readonly links?: readonly { traceId: string; spanId: string; attributes?: readonly JsonPair[] }[];
  readonly status?: { readonly code?: number; readonly message?: string };
}

export interface JsonPair {
  readonly key: string;
  readonly value?: JsonValue;
}

interface JsonValue {
  readonly stringValue?: string;
  readonly boolValue?: boolean;
  readonly intValue?: string | number;
  readonly doubleValue?: number;
  readonly arrayValue?: { readonly values?: readonly JsonValue[] };
  readonly kvlistValue?: { readonly values?: readonly JsonPair[] };
}

export function jsonAttributes(pairs: readonly JsonPair[] | undefined): Attributes {
  return Object.fromEntries((pairs ?? []).map((pair) => [pair.key, jsonValue(pair.value)]));
}

function jsonValue(value: JsonValue | undefined): Value {
  if (value?.intValue !== undefined) return Number(value.intValue);
  if (value?.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(jsonValue);
  if (value?.kvlistValue !== undefined) return jsonAttributes(value.kvlistValue.values);
  return value?.stringValue ?? value?.boolValue ?? value?.doubleValue ?? null;
}

function member<T>(names: readonly T[], index: number): T {
  const name = names[index];
  if (name === undefined) throw new Error(`${index} is not among ${names.join(", ")}`);
  return name;
}
