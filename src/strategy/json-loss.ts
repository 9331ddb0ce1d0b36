import { describeValue } from "../config/describe.ts";

/** Lists and objects in each other: more than anybody means to write, fewer than a stack has room for. */
const DEEPEST = 500;

/** Characters of a place that are shown. */
const LONGEST = 60;

/**
 * What JSON would leave out of a value or change, with its place (`seen is a Map`); null when it
 * comes back as it was.
 */
export function jsonLoss(value: unknown): string | null {
  return lossAt(value, "", new Map());
}

/** `around`: the lists and objects that the value is in, with their places. */
function lossAt(value: unknown, place: string, around: Map<object, string>): string | null {
  if (value === null || typeof value === "string" || typeof value === "boolean") return null;
  if (typeof value === "number") {
    if (Number.isFinite(value)) return null;
    return `${shown(place)} is ${value}, which comes back as null`;
  }
  if (typeof value !== "object") return `${shown(place)} is ${describeValue(value)}`;
  const outer = around.get(value);
  if (outer !== undefined) {
    const where = outer === "" ? "the whole" : shown(outer);
    return `${shown(place)} leads back to ${where}, in a circle`;
  }
  if (around.size === DEEPEST) return `${shown(place)} is more than ${DEEPEST} levels deep`;
  around.set(value, place);
  const loss = lossInside(value, place, around);
  around.delete(value);
  return loss;
}

function lossInside(value: object, place: string, around: Map<object, string>): string | null {
  if (Array.isArray(value)) {
    for (const [index, inner] of value.entries()) {
      const loss = lossAt(inner, `${place}[${index}]`, around);
      if (loss !== null) return loss;
    }
    return null;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    return `${shown(place)} is a ${value.constructor.name}`;
  }
  for (const [name, inner] of Object.entries(value)) {
    // An optional field that is not there is not there afterwards either.
    if (inner === undefined) continue;
    const loss = lossAt(inner, place === "" ? name : `${place}.${name}`, around);
    if (loss !== null) return loss;
  }
  return null;
}

function shown(place: string): string {
  if (place === "") return "it";
  return place.length > LONGEST ? `${place.slice(0, LONGEST)}…` : place;
}
