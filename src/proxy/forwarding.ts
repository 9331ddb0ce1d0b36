/** What a backend is told about the client's side of a request (RFC 7239 and its forerunners). */
import type { FrontRequest, HeaderField } from "./front.ts";
import { surestScheme } from "./original-request.ts";

export interface Forwarding {
  /** Path and query for the backend. */
  readonly target: string;
  /** Empty on a unix socket. */
  readonly peerAddress: string;
  /** Whether what the peer says about the client is believed. */
  readonly trusted: boolean;
  /** For `X-Request-Id`; null: a client's own is like any other field. */
  readonly requestId: string | null;
  /** Ours in `Via`. */
  readonly pseudonym: string;
}

/** Fields that we write ourselves, from what the peer sent if it is believed. */
const WRITTEN = new Set([
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-proto",
]);
/** Only of these would a backend believe who the client is. */
const CLAIMS = new Set(["x-real-ip", "true-client-ip"]);

/** Whether this field (lower case) of the request is not passed on as it is. */
export function isReplaced(name: string, { trusted, requestId }: Forwarding): boolean {
  const plain = name.includes("_") ? name.replaceAll("_", "-") : name;
  if (plain === "x-request-id") return requestId !== null;
  if (WRITTEN.has(plain)) return true;
  if (!isForwarding(plain)) return false;
  // CGI and WSGI tell X_Real_IP from X-Real-IP no more, and no proxy means the former.
  return !trusted || plain !== name;
}

/** Whether this field (lower case) tells who the client is. Of any name: some log in X-Forwarded-User. */
export function isForwarding(name: string): boolean {
  return name === "forwarded" || name.startsWith("x-forwarded-") || CLAIMS.has(name);
}

/** The fields that take their place. */
export function forwardingFields(
  { scheme, port, headers }: Pick<FrontRequest, "scheme" | "port" | "headers">,
  clientHost: string,
  { peerAddress, trusted, requestId }: Forwarding,
): HeaderField[] {
  // An empty field says nothing.
  const believed = (name: string): string => (trusted && headers.get(name)) || "";
  const fields: HeaderField[] = [];
  const chain = [believed("x-forwarded-for"), peerAddress].filter((part) => part !== "");
  if (chain.length > 0) fields.push(["x-forwarded-for", chain.join(", ")]);
  const [outerProto, outerHost] = [believed("x-forwarded-proto"), believed("x-forwarded-host")];
  fields.push(["x-forwarded-proto", outerProto || scheme]);
  const host = outerHost || clientHost;
  if (host !== "") fields.push(["x-forwarded-host", host]);
  // Beside another hop's scheme or host our own port would make a URL that leads nowhere.
  const ownPort = outerProto === "" && outerHost === "" && port !== null ? String(port) : "";
  const forwardedPort = believed("x-forwarded-port") || ownPort;
  if (forwardedPort !== "") fields.push(["x-forwarded-port", forwardedPort]);
  const forwarded = believed("forwarded");
  if (forwarded !== "") {
    const element = forwardedElement(peerAddress, clientHost, scheme);
    fields.push(["forwarded", `${forwarded}, ${element}`]);
  }
  if (requestId !== null) fields.push(["x-request-id", requestId]);
  return fields;
}

/** Whether the client's own connection is encrypted, as far as we or a trusted proxy in front of us can tell. */
export function cameByTls(
  { scheme, headers }: Pick<FrontRequest, "scheme" | "headers">,
  trusted: boolean,
): boolean {
  return scheme === "https" || (trusted && surestScheme(headers) === "https");
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
