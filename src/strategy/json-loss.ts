import { describeValue } from "../config/describe.ts";

/**
 * What JSON would leave out of a value or change, with its place (`seen is a Map`); null when it
 * comes back as it was.
 */
export function jsonLoss(value: unknown, place = "it"): string | null {
  if (value === null || typeof value === "string" || typeof value === "boolean") return null;
  if (typeof value === "number") {
    if (Number.isFinite(value)) return null;
    return `${place} is ${value}, which comes back as null`;
  }
  if (typeof value !== "object") return `${place} is ${describeValue(value)}`;
  if (Array.isArray(value)) {
    for (const [index, inner] of value.entries()) {
      const loss = jsonLoss(inner, `${place === "it" ? "" : place}[${index}]`);
      if (loss !== null) return loss;
    }
    return null;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    return `${place} is a ${value.constructor.name}`;
  }
  for (const [name, inner] of Object.entries(value)) {
    // An optional field that is not there is not there afterwards either.
    if (inner === undefined) continue;
    const loss = jsonLoss(inner, place === "it" ? name : `${place}.${name}`);
    if (loss !== null) return loss;
  }
  return null;
}
