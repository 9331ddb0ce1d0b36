import { STATUS_CODES } from "node:http";

const REGISTERED: ReadonlySet<number> = new Set(Object.keys(STATUS_CODES).map(Number));

/**
 * The same end with a status that there are few of: one that is not registered counts as the `x00`
 * of its class (RFC 9110, section 15), or a backend could make a series out of each number. Beyond
 * 599 it is a server error.
 */
export function counted<End extends { readonly status: number | null }>(end: End): End {
  const { status } = end;
  if (status === null || REGISTERED.has(status)) return end;
  const known = status >= 100 && status < 600 ? Math.trunc(status / 100) * 100 : 500;
  return { ...end, status: known };
}
