import type { Parsed } from "./parsed.ts";

export type StatusRange = readonly [from: number, to: number];

/** What is allowed; for messages. */
export const statusForms = 'status codes such as "200-299", "200,204,300-399" or 200';

/** Inclusive ranges in the order given. */
export function parseStatusRanges(text: string): Parsed<readonly StatusRange[]> {
  const ranges: StatusRange[] = [];
  for (const part of text.split(",")) {
    const match = /^\s*([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?\s*$/.exec(part);
    if (!match) return { allowed: statusForms };
    const from = Number(match[1]);
    const to = Number(match[2] ?? match[1]);
    if (from > to) return { allowed: statusForms, reason: `${from} is above ${to}` };
    ranges.push([from, to]);
  }
  return { value: ranges };
}
