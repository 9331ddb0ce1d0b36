import type { Attributes, AttributeValue } from "@opentelemetry/api";
import type { TracesConfig } from "../config/config.ts";

interface Limited {
  readonly kept: Entry[];
  readonly dropped: number;
}

type Entry = readonly [name: string, value: AttributeValue];

/** More than the decision has, and more than a strategy may put on one event. */
const FEW = 32;

/** OpenTelemetry's span limits (specification, "Trace SDK", Span Limits), applied as its SDK applies them. */
export class RecordingLimits {
  readonly events: number;
  readonly links: number;
  readonly #attributes: number;
  readonly #eventAttributes: number;
  readonly #length: number;

  constructor(limits: TracesConfig["limits"]) {
    this.events = limits.events;
    this.links = limits.links;
    this.#attributes = limits.attributes;
    this.#eventAttributes = limits.eventAttributes;
    this.#length = limits.attributeLength ?? Number.POSITIVE_INFINITY;
  }

  /** Whether a span with so many attributes has to be cut. */
  concernSpan(count: number): boolean {
    return count > this.#attributes || this.#length < Number.POSITIVE_INFINITY;
  }

  ofSpan(entries: readonly Entry[]): Limited {
    return this.#apply(entries, this.#attributes);
  }

  concernEvent(attributes: Attributes): boolean {
    if (this.#length < Number.POSITIVE_INFINITY) return true;
    // No event of ours has as many as this: its attributes need not be counted.
    return this.#eventAttributes < FEW && Object.keys(attributes).length > this.#eventAttributes;
  }

  ofEvent(attributes: Attributes): Limited {
    return this.#apply(Object.entries(attributes) as Entry[], this.#eventAttributes);
  }

  #apply(entries: readonly Entry[], most: number): Limited {
    const kept = entries
      .slice(0, most)
      .map(([name, value]): Entry => [name, shortened(value, this.#length)]);
    return { kept, dropped: entries.length - kept.length };
  }
}

function shortened(value: AttributeValue, length: number): AttributeValue {
  if (typeof value === "string") return value.slice(0, length);
  if (!Array.isArray(value)) return value;
  return value.map((item) =>
    typeof item === "string" ? item.slice(0, length) : item,
  ) as AttributeValue;
}
