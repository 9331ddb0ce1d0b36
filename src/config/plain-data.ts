import type { Problem } from "../errors.ts";
import { describeThrown } from "./describe.ts";
import { formatPath } from "./problem.ts";

export interface PlainData {
  /** A copy that holds objects, lists, texts, numbers, booleans and null only. */
  readonly data: unknown;
  /** One for each thing that is none of these. */
  readonly problems: readonly Problem[];
}

/** Copies a value that code has made, so that it can go to another process and be compared and shown. */
export function toPlainData(value: unknown): PlainData {
  const problems: Problem[] = [];
  const ancestors = new Set<unknown>();

  const refuse = (path: readonly PropertyKey[], message: string): void => {
    problems.push({ path: formatPath(path), message });
  };
  const read = (item: object, key: string, path: readonly PropertyKey[]): unknown => {
    try {
      return Reflect.get(item, key);
    } catch (thrown) {
      refuse([...path, key], `threw while it was read: ${describeThrown(thrown)}`);
      return undefined;
    }
  };
  const copy = (item: unknown, path: readonly PropertyKey[]): unknown => {
    if (item === null || item === undefined || isScalar(item)) return item;
    const what = nonData(item) ?? (ancestors.has(item) ? "an object that contains itself" : null);
    if (what !== null) {
      refuse(
        path,
        `is ${what}; a configuration is plain data: objects, lists, texts, numbers, true, false`,
      );
      return undefined;
    }
    // The schema would pass over it: an object cannot hold it like other keys.
    if (Object.hasOwn(item, "__proto__")) refuse([...path, "__proto__"], "is no name for a key");
    ancestors.add(item);
    // Symbol keys are left behind: c12's parsers note a file's indentation in one.
    const copied = Array.isArray(item)
      ? item.map((entry, index) => copy(entry, [...path, index]))
      : Object.fromEntries(
          Object.keys(item).map((key) => [key, copy(read(item, key, path), [...path, key])]),
        );
    ancestors.delete(item);
    return copied;
  };

  const data = copy(value, []);
  return { data, problems };
}

function isScalar(value: unknown): boolean {
  return ["string", "number", "boolean"].includes(typeof value);
}

function nonData(value: unknown): string | null {
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return `a ${typeof value}`;
  if (Array.isArray(value)) return null;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null || prototype === Object.prototype) return null;
  const name: unknown = (prototype as { constructor?: { name?: unknown } }).constructor?.name;
  return typeof name === "string" && name !== ""
    ? `an instance of ${name}`
    : "an instance of a class";
}
