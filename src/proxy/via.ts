/** Our name in `Via`, and how a request that has been here before is known by it (RFC 9110, 7.6.3). */
import { ProxyError } from "../errors.ts";
import type { FrontRequest } from "./front.ts";

/**
 * The pseudonym of the running program that `instance` names. Two of them in a chain are no loop, so
 * the program's name alone would not do.
 */
export function pseudonymOf(instance: string): string {
  return `leastwise-${instance}`;
}

/** A backend may ask another route of the same program, and pass the field on. A loop ends after these. */
const MAX_VISITS = 3;

/**
 * Throws ProxyError when we forwarded this request three times before: it would come back until
 * something gives way. Whatever Connection names, the field is looked at: it is not the client's to hide.
 */
export function refuseLoop({ headers }: Pick<FrontRequest, "headers">, pseudonym: string): void {
  const via = headers.get("via");
  if (via === null || !via.includes(pseudonym)) return;
  const hops = via.split(",").map((hop) => hop.trim().split(/[ \t]+/)[1]);
  if (hops.filter((hop) => hop === pseudonym).length < MAX_VISITS) return;
  const message = `the request has been here ${MAX_VISITS} times before: a backend leads back`;
  throw new ProxyError("loop_detected", message, { source: "proxy" });
}
