import type { Logger } from "../log.ts";

/**
 * Closes `Object.prototype`, which every object of a process has behind it: what a strategy adds there would turn up
 * in our own objects and in other strategies'. Adding to it, or taking from it, throws from then on, where the
 * strategy does it. It can still be assigned to: were its members not writable, no object could have its own
 * `toString` by assignment.
 */
export function closeObjectPrototype(): ObjectPrototypeWatch {
  const members: object = Object.prototype;
  for (const key of Reflect.ownKeys(members)) {
    Object.defineProperty(members, key, { configurable: false });
  }
  Object.preventExtensions(members);
  return new ObjectPrototypeWatch();
}

type Members = Record<PropertyKey, unknown>;

/** Puts back what was assigned to members of `Object.prototype`. */
export class ObjectPrototypeWatch {
  readonly #values: readonly (readonly [key: PropertyKey, value: unknown])[];
  readonly #told = new Set<PropertyKey>();

  constructor() {
    this.#values = Reflect.ownKeys(Object.prototype).flatMap((key) => {
      const property = Object.getOwnPropertyDescriptor(Object.prototype, key);
      return property?.writable ? [[key, property.value as unknown] as const] : [];
    });
  }

  /** A microsecond when nothing has changed. Says once which member it was. */
  restore(log: Logger): void {
    const members = Object.prototype as unknown as Members;
    for (const [key, value] of this.#values) {
      if (members[key] === value) continue;
      members[key] = value;
      if (this.#told.has(key)) continue;
      this.#told.add(key);
      log.error(`Object.prototype.${String(key)} was replaced, and is put back`, {
        hint: "a strategy changes what all code of its worker uses",
      });
    }
  }
}
