import {
  type Attributes,
  type AttributeValue,
  type HrTime,
  type Link,
  type SpanContext,
  type SpanKind,
  type SpanStatus,
  SpanStatusCode,
} from "@opentelemetry/api";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import type { AttributeGroup } from "./attribute-group.ts";
import { hrTime } from "./hr-time.ts";
import type { RecordingLimits } from "./recording-limits.ts";

/** The bytes of one span among those of others. */
export interface EncodedSpan {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

export interface RecordedEvent {
  readonly name: string;
  /** Milliseconds since 1970, with fractions. */
  readonly atMs: number;
  readonly attributes: Attributes | null;
  readonly droppedAttributes: number;
}

/** What all spans of a process have in common. */
export interface SpanOrigin {
  readonly resource: ReadableSpan["resource"];
  readonly scope: ReadableSpan["instrumentationScope"];
  readonly limits: RecordingLimits;
  /** Where ended spans go. */
  readonly onEnd: (span: RecordedSpan) => void;
}

export interface SpanStart {
  readonly name: string;
  readonly kind: SpanKind;
  readonly context: SpanContext;
  readonly parent: SpanContext | null;
  readonly links: readonly SpanContext[];
  /** Milliseconds since 1970, with fractions. */
  readonly atMs: number;
}

const NO_GROUPS: AttributeGroup[] = [];
const NO_PAIRS: AttributeValue[] = [];
const NO_EVENTS: RecordedEvent[] = [];
const NO_LINKS: readonly SpanContext[] = [];
const UNSET: SpanStatus = { code: SpanStatusCode.UNSET };
const ERROR: SpanStatus = { code: SpanStatusCode.ERROR };

/**
 * A span while it is recorded, and afterwards what the SDK's processors and exporters read. The SDK's
 * own checks and copies each value that it is given; all values here are ours or have been checked.
 */
export class RecordedSpan implements ReadableSpan {
  name: string;
  readonly kind: SpanKind;
  readonly context: SpanContext;
  readonly parentSpanContext?: SpanContext;
  readonly startMs: number;
  endMs = Number.NaN;
  status = UNSET;
  readonly origin: SpanOrigin;
  groups: AttributeGroup[] = [];
  /** Beside those of the groups: name, value, name, value. */
  pairs: AttributeValue[] = [];
  linked: readonly SpanContext[];
  recordedEvents: RecordedEvent[] = [];
  /** Once it is encoded, which takes the place of attributes, events and links. */
  encoded: EncodedSpan | null = null;
  /** What it counts as while it waits for its export. */
  heldBytes = 0;
  droppedAttributesCount = 0;
  droppedEventsCount = 0;
  readonly droppedLinksCount: number;

  constructor(start: SpanStart, origin: SpanOrigin) {
    this.name = start.name;
    this.kind = start.kind;
    this.context = start.context;
    if (start.parent !== null) this.parentSpanContext = start.parent;
    this.startMs = start.atMs;
    this.origin = origin;
    const { links } = start;
    const dropped = Math.max(0, links.length - origin.limits.links);
    this.linked = dropped === 0 ? links : links.slice(dropped);
    this.droppedLinksCount = dropped;
  }

  /** Nothing may be added any more. */
  get ended(): boolean {
    return !Number.isNaN(this.endMs);
  }

  /** Names that the span does not have yet. */
  addGroup(group: AttributeGroup): void {
    this.groups.push(group);
  }

  /** A name that the span does not have yet. */
  add(name: string, value: AttributeValue): void {
    this.pairs.push(name, value);
  }

  /** Replaces the value if the name was added before, but not by a group. */
  set(name: string, value: AttributeValue): void {
    const { pairs } = this;
    for (let i = 0; i < pairs.length; i += 2) {
      if (pairs[i] !== name) continue;
      pairs[i + 1] = value;
      return;
    }
    pairs.push(name, value);
  }

  addEvent(name: string, atMs: number, attributes: Attributes | null = null): void {
    const { limits } = this.origin;
    const events = this.recordedEvents;
    if (events.length >= limits.events) {
      this.droppedEventsCount++;
      // As the SDK does: the last ones tell how it ended.
      if (limits.events === 0) return;
      events.shift();
    }
    if (attributes === null || !limits.concernEvent(attributes)) {
      events.push({ name, atMs, attributes, droppedAttributes: 0 });
      return;
    }
    const { kept, dropped } = limits.ofEvent(attributes);
    events.push({ name, atMs, attributes: Object.fromEntries(kept), droppedAttributes: dropped });
  }

  fail(): void {
    this.status = ERROR;
  }

  end(atMs: number): void {
    // A clock that was set back meanwhile.
    this.endMs = Math.max(atMs, this.startMs);
    if (this.origin.limits.concernSpan(this.#count())) this.#limit();
    this.origin.onEnd(this);
  }

  /** Attributes, events and links are given up: many spans wait for their export. */
  settle(encoded: EncodedSpan): void {
    this.encoded = encoded;
    this.groups = NO_GROUPS;
    this.pairs = NO_PAIRS;
    this.recordedEvents = NO_EVENTS;
    this.linked = NO_LINKS;
  }

  #count(): number {
    let count = this.pairs.length >> 1;
    for (const { pairs } of this.groups) count += pairs.length >> 1;
    return count;
  }

  #limit(): void {
    const { kept, dropped } = this.origin.limits.ofSpan(this.#entries());
    this.groups = [];
    this.pairs = kept.flat();
    this.droppedAttributesCount = dropped;
  }

  #entries(): [string, AttributeValue][] {
    return [...this.groups.map(({ pairs }) => pairs), this.pairs].flatMap((pairs) =>
      Array.from({ length: pairs.length >> 1 }, (_, i): [string, AttributeValue] => [
        pairs[2 * i] as string,
        pairs[2 * i + 1] as AttributeValue,
      ]),
    );
  }

  spanContext(): SpanContext {
    return this.context;
  }

  get attributes(): Attributes {
    return Object.fromEntries(this.#entries());
  }

  get events(): ReadableSpan["events"] {
    return this.recordedEvents.map(({ name, atMs, attributes, droppedAttributes }) => ({
      name,
      time: hrTime(atMs),
      ...(attributes === null ? {} : { attributes }),
      droppedAttributesCount: droppedAttributes,
    }));
  }

  get links(): Link[] {
    return this.linked.map((context) => ({ context }));
  }

  get startTime(): HrTime {
    return hrTime(this.startMs);
  }

  get endTime(): HrTime {
    return hrTime(this.endMs);
  }

  get duration(): HrTime {
    return hrTime(this.endMs - this.startMs);
  }

  get resource(): ReadableSpan["resource"] {
    return this.origin.resource;
  }

  get instrumentationScope(): ReadableSpan["instrumentationScope"] {
    return this.origin.scope;
  }
}
