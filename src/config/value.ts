import * as z from "zod";
import type { Parsed } from "./parsed.ts";
import {
  durationForms,
  durationPattern,
  formatDuration,
  formatSize,
  maxDurationMs,
  parseDuration,
  parseSize,
  sizeForms,
  sizePattern,
} from "./units.ts";

/*
 * The leaves of the schema. By convention the message of every issue is what is allowed, in words;
 * `problem.ts` puts what was found in front of it.
 */

/** A text that `parse` understands; what it refuses becomes an issue with its reason. */
export function parsedText<T>(
  allowed: string,
  parse: (text: string) => Parsed<T>,
): z.ZodPipe<z.ZodString, z.ZodTransform<T, string>> {
  return z.string({ error: allowed }).transform((text, context) => {
    const parsed = parse(text);
    if ("value" in parsed) return parsed.value;
    context.issues.push({
      code: "custom",
      input: text,
      message: parsed.allowed,
      params: parsed.reason === undefined ? {} : { reason: parsed.reason },
    });
    return z.NEVER;
  });
}

/** A duration in milliseconds. */
export function duration(limits: { readonly minMs: number }) {
  const { minMs } = limits;
  const least = minMs > 0 ? ` of at least ${formatDuration(minMs)}` : "";
  return parsedText(`${durationForms}${least}`, (text) => {
    const ms = parseDuration(text);
    if (ms === null) return { allowed: `${durationForms}${least}` };
    if (ms < minMs) return { allowed: `${durationForms}${least}`, reason: "too short" };
    if (ms > maxDurationMs)
      return { allowed: `${durationForms}, at most 596h`, reason: "too long" };
    return { value: ms };
  }).meta({ pattern: durationPattern });
}

/** A size in bytes. */
export function size(limits: { readonly minBytes: number } = { minBytes: 0 }) {
  const { minBytes } = limits;
  const least = minBytes > 0 ? ` of at least ${formatSize(minBytes)}` : "";
  const allowed = `${sizeForms}${least}`;
  return parsedText(allowed, (text) => {
    const bytes = parseSize(text);
    if (bytes === null) return { allowed };
    return bytes < minBytes ? { allowed, reason: "too small" } : { value: bytes };
  }).meta({ pattern: sizePattern });
}

export function integer(min: number, max?: number, allowed?: string) {
  const range = max === undefined ? `of at least ${min}` : `from ${min} to ${max}`;
  const error = allowed ?? `a whole number ${range}`;
  const schema = z.int({ error }).min(min, { error });
  return max === undefined ? schema : schema.max(max, { error });
}

export function fraction() {
  const error = "a number from 0 to 1";
  return z.number({ error }).min(0, { error }).max(1, { error });
}

/** Text of a given form. */
export function text(allowed: string, form: RegExp) {
  return z.string({ error: allowed }).regex(form, { error: allowed });
}

export function oneOf<const T extends readonly [string, ...string[]]>(values: T) {
  return z.enum(values, { error: values.map((value) => JSON.stringify(value)).join(" or ") });
}

export function listOf<T extends z.ZodType>(item: T, allowed: string) {
  return z.array(item, { error: allowed });
}

/** An object in which a key that is not named here is a mistake. */
export function section<T extends z.ZodRawShape>(shape: T) {
  const keys = Object.keys(shape).join(", ");
  return z.strictObject(shape, {
    error: (issue) => (issue.code === "unrecognized_keys" ? keys : `an object with ${keys}`),
  });
}

/** A section that `false` switches off. */
export function sectionOrFalse<T extends z.ZodRawShape>(shape: T) {
  const keys = Object.keys(shape).join(", ");
  return z.union([z.literal(false), section(shape)], { error: `false or an object with ${keys}` });
}

export const headerName = text("a header name", /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/);
/** What is written byte by byte must be bytes: cut to one, U+010A would be a line feed. */
export const headerValue = text(
  "a header value without line breaks and other control characters, none above U+00FF",
  /^[\t\x20-\x7e\x80-\xff]*$/,
);
