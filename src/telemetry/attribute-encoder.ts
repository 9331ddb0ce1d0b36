/**
 * Attributes as OTLP's `KeyValue` (opentelemetry/proto/common/v1/common.proto). Nearly all of a load
 * balancer's repeat from request to request: the encoded bytes of those are kept and copied.
 */
import type { AttributeValue } from "@opentelemetry/api";
import type { AttributeGroup } from "./attribute-group.ts";
import { FIXED64, LENGTH, type ProtobufWriter, VARINT } from "./protobuf-writer.ts";

/** Strategies make up names, and clients values: all together it is a few megabytes at the very most. */
const MAX_NAMES = 128;
const MAX_VALUES = 64;
const MAX_LENGTH = 160;
/** Values of an attribute that are not looked up after those before them did not repeat. */
const PASSED_OVER = 4096;

const MIN_INT64 = -(2 ** 63);
const END_INT64 = 2 ** 63;

/** `AnyValue`'s fields. */
const STRING_VALUE = 1;
const BOOL_VALUE = 2;
const INT_VALUE = 3;
const DOUBLE_VALUE = 4;
const ARRAY_VALUE = 5;
const KVLIST_VALUE = 6;
const BYTES_VALUE = 7;

interface KnownName {
  /** With its length. */
  readonly text: Uint8Array;
  /** The whole `KeyValue` with its length, by value. */
  readonly pairs: Map<unknown, Uint8Array>;
  /** How many of the pairs were copied since they were last forgotten. */
  hits: number;
  passedOver: number;
}

export class AttributeEncoder {
  readonly #names = new Map<string, KnownName>();
  readonly #writer: ProtobufWriter;

  constructor(writer: ProtobufWriter) {
    this.#writer = writer;
  }

  /** All of them, as the repeated field of that number. */
  attributes(field: number, attributes: Readonly<Record<string, unknown>>): void {
    for (const name in attributes) {
      this.#writer.tag(field, LENGTH);
      this.#pair(name, attributes[name]);
    }
  }

  /** The same of a list: name, value, name, value. */
  pairs(field: number, pairs: readonly AttributeValue[]): void {
    for (let i = 0; i < pairs.length; i += 2) {
      this.#writer.tag(field, LENGTH);
      this.#pair(pairs[i] as string, pairs[i + 1]);
    }
  }

  group(field: number, group: AttributeGroup): void {
    if (group.encoded !== null) {
      this.#writer.raw(group.encoded);
      return;
    }
    const start = this.#writer.length;
    this.pairs(field, group.pairs);
    group.encoded = this.#writer.since(start);
  }

  /** A text of which there are few different ones, with its length. */
  name(name: string): void {
    const known = this.#names.get(name);
    if (known !== undefined) {
      this.#writer.raw(known.text);
      return;
    }
    const start = this.#writer.length;
    this.#writer.text(name);
    if (this.#names.size >= MAX_NAMES || name.length > MAX_LENGTH) return;
    const text = this.#writer.since(start);
    this.#names.set(name, { text, pairs: new Map(), hits: 0, passedOver: 0 });
  }

  #pair(name: string, value: unknown): void {
    const known = this.#names.get(name);
    if (known === undefined || known.passedOver > 0 || !isKept(value)) {
      if (known !== undefined && known.passedOver > 0) known.passedOver--;
      this.#encode(name, value);
      return;
    }
    const pair = known.pairs.get(value);
    if (pair !== undefined) {
      known.hits++;
      this.#writer.raw(pair);
      return;
    }
    const start = this.#writer.length;
    this.#encode(name, value);
    if (known.pairs.size >= MAX_VALUES) forget(known);
    known.pairs.set(value, this.#writer.since(start));
  }

  #encode(name: string, value: unknown): void {
    const writer = this.#writer;
    const start = writer.begin();
    writer.tag(1, LENGTH);
    this.name(name);
    writer.tag(2, LENGTH);
    this.#value(value);
    writer.end(start);
  }

  /** What OTLP has no value for, null for one, is left empty. */
  #value(value: unknown): void {
    const writer = this.#writer;
    const start = writer.begin();
    if (typeof value === "string") {
      writer.tag(STRING_VALUE, LENGTH);
      writer.text(value);
    } else if (typeof value === "number") {
      this.#number(value);
    } else if (typeof value === "boolean") {
      writer.tag(BOOL_VALUE, VARINT);
      writer.varint(value ? 1 : 0);
    } else if (value instanceof Uint8Array) {
      writer.tag(BYTES_VALUE, LENGTH);
      writer.bytes(value);
    } else if (Array.isArray(value)) {
      this.#list(value);
    } else if (typeof value === "object" && value !== null) {
      this.#map(value);
    }
    writer.end(start);
  }

  #number(value: number): void {
    const writer = this.#writer;
    if (Number.isInteger(value) && value >= MIN_INT64 && value < END_INT64) {
      writer.tag(INT_VALUE, VARINT);
      writer.varint64(value);
    } else {
      writer.tag(DOUBLE_VALUE, FIXED64);
      writer.double(value);
    }
  }

  #list(values: readonly unknown[]): void {
    const writer = this.#writer;
    writer.tag(ARRAY_VALUE, LENGTH);
    const start = writer.begin();
    for (const value of values) {
      writer.tag(1, LENGTH);
      this.#value(value);
    }
    writer.end(start);
  }

  #map(value: object): void {
    const writer = this.#writer;
    writer.tag(KVLIST_VALUE, LENGTH);
    const start = writer.begin();
    for (const [name, item] of Object.entries(value)) {
      writer.tag(1, LENGTH);
      this.#encode(name, item);
    }
    writer.end(start);
  }
}

function isKept(value: unknown): boolean {
  return typeof value === "string"
    ? value.length <= MAX_LENGTH
    : typeof value === "number" || typeof value === "boolean";
}

function forget(known: KnownName): void {
  if (known.hits < MAX_VALUES) known.passedOver = PASSED_OVER;
  known.hits = 0;
  known.pairs.clear();
}
