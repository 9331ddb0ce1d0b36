import type { AttributeValue } from "@opentelemetry/api";

/**
 * Attributes that many spans have alike: a span takes them by one reference, and an encoder may keep
 * the bytes that it writes for them here.
 */
export class AttributeGroup {
  /** Name, value, name, value. */
  readonly pairs: readonly AttributeValue[];
  /** Null until a first span with them is encoded. */
  encoded: Uint8Array | null = null;

  constructor(attributes: Readonly<Record<string, AttributeValue>>) {
    this.pairs = Object.entries(attributes).flat() as AttributeValue[];
  }
}

/** Different ones that are kept at a time, and how long their keys may be: clients have a say in both. */
const MAX_KEPT = 1024;
const MAX_KEY_LENGTH = 160;

/** The group of each key, made once. All are forgotten when there are too many. */
export class AttributeGroups {
  readonly #groups = new Map<string, AttributeGroup>();
  readonly #create: (key: string) => Readonly<Record<string, AttributeValue>>;

  constructor(create: (key: string) => Readonly<Record<string, AttributeValue>>) {
    this.#create = create;
  }

  of(key: string): AttributeGroup {
    const found = this.#groups.get(key);
    if (found !== undefined) return found;
    const group = new AttributeGroup(this.#create(key));
    if (key.length > MAX_KEY_LENGTH) return group;
    if (this.#groups.size >= MAX_KEPT) this.#groups.clear();
    this.#groups.set(key, group);
    return group;
  }
}
