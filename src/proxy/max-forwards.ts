/**
 * Max-Forwards (RFC 9110, 7.6.2): how far a question about the way may go. It counts for OPTIONS, and for
 * TRACE, which goes nowhere.
 */
import type { FrontAnswer, FrontRequest } from "./front.ts";

/** For `Allow`: what any backend may be asked. */
export const FORWARDED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/** The largest value that we pass on. */
const MAX_HOPS = 255;

/** Our own answer to a request that goes no further; null: it goes on. */
export function lastHopAnswer({
  method,
  headers,
}: Pick<FrontRequest, "method" | "headers">): FrontAnswer | null {
  if (method !== "OPTIONS" || readHops(headers.get("max-forwards") ?? "") !== 0) return null;
  return { status: 204, headers: [["allow", FORWARDED_METHODS]], body: null, idleMs: null };
}

/** The field for the next server. What is no number, or not ours to count, is passed on as it is. */
export function oneHopLess(method: string, maxForwards: string): string {
  const hops = method === "OPTIONS" ? readHops(maxForwards) : null;
  return hops === null ? maxForwards : String(Math.min(hops - 1, MAX_HOPS));
}

function readHops(maxForwards: string): number | null {
  return /^\d+$/.test(maxForwards) ? Number(maxForwards) : null;
}
