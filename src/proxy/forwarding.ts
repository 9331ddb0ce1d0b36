/** What a backend is told about the client's side of a request (RFC 7239 and its forerunners). */
import type { FrontRequest, HeaderField } from "./front.ts";

export interface Forwarding {
  /** Path and query for the backend. */
  readonly target: string;
  /** Empty on a unix socket. */
  readonly peerAddress: string;
  /** Whether what the peer says about the client is believed. */
  readonly trusted: boolean;
  /** For `X-Request-Id`; null: a client's own is like any other field. */
  readonly requestId: string | null;
}

/** Fields that we write ourselves, from what the peer sent if it is believed. */
const WRITTEN = new Set(["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"]);
/** Only of these would a backend believe who the client is. */
const CLAIMS = new Set(["x-real-ip", "true-client-ip"]);

/** Whether this field (lower case) of the request is not passed on as it is. */
export function isReplaced(name: string, { trusted, requestId }: Forwarding): boolean {
  const plain = name.includes("_") ? name.replaceAll("_", "-") : name;
  if (plain === "x-request-id") return requestId !== null;
  if (WRITTEN.has(plain)) return true;
  // Of any name: backends take X-Forwarded-User for a login.
  if (!plain.startsWith("x-forwarded-") && !CLAIMS.has(plain)) return false;
  // CGI and WSGI tell X_Real_IP from X-Real-IP no more, and no proxy means the former.
  return !trusted || plain !== name;
}

/** The fields that take their place. `read` gives what the peer sent. */
export function forwardingFields(
  { scheme }: Pick<FrontRequest, "scheme">,
  clientHost: string,
  { peerAddress, trusted, requestId }: Forwarding,
  read: (name: string) => string | null,
): HeaderField[] {
  // An empty field says nothing.
  const believed = (name: string): string => (trusted && read(name)) || "";
  const fields: HeaderField[] = [];
  const chain = [believed("x-forwarded-for"), peerAddress].filter((part) => part !== "");
  if (chain.length > 0) fields.push(["x-forwarded-for", chain.join(", ")]);
  fields.push(["x-forwarded-proto", believed("x-forwarded-proto") || scheme]);
  const host = believed("x-forwarded-host") || clientHost;
  if (host !== "") fields.push(["x-forwarded-host", host]);
  const forwarded = believed("forwarded");
  if (forwarded !== "") {
    const element = forwardedElement(peerAddress, clientHost, scheme);
    fields.push(["forwarded", `${forwarded}, ${element}`]);
  }
  if (requestId !== null) fields.push(["x-request-id", requestId]);
  return fields;
}

/** RFC 7239, section 4. */
function forwardedElement(peerAddress: string, host: string, scheme: string): string {
  const node = peerAddress === "" ? "unknown" : peerAddress;
  const pairs = [`for=${node.includes(":") ? `"[${node}]"` : node}`];
  // A host has neither quotation marks nor backslashes.
  if (host !== "") pairs.push(`host=${/^[\w.~-]+$/.test(host) ? host : `"${host}"`}`);
  return [...pairs, `proto=${scheme}`].join(";");
}

/** The client's request id if it may be kept: it goes into logs and into answers. */
export function readRequestId(value: string | null): string | null {
  return value !== null && /^[A-Za-z0-9._-]{1,128}$/.test(value) ? value : null;
}
