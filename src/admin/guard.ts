/** Keeps everybody out of the admin API who is not meant to be there. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { AdminConfig } from "../config/config.ts";

const LOOPBACK_NAMES = new Set(["localhost", "127.0.0.1", "[::1]"]);

/**
 * Null when the request may pass. A browser is made to send its pages' requests to any address, so
 * a name that is not ours (DNS rebinding) and a foreign Origin are refused; a token, where one is
 * configured, is required.
 */
export function refuse(request: Request, config: AdminConfig): Response | null {
  const name = hostName(request.headers.get("host"));
  const ours =
    LOOPBACK_NAMES.has(name) || config.hosts.includes(name) || isOwnAddress(name, config);
  if (!ours) {
    return refusal(403, `Host ${name} is not served; add it to admin.hosts`);
  }
  const origin = request.headers.get("origin");
  if (origin !== null && !isOwnOrigin(origin, request)) {
    return refusal(403, "requests from other origins are refused");
  }
  if (config.token !== null && !sameToken(request.headers.get("authorization"), config.token)) {
    return refusal(401, "this address needs the header Authorization: Bearer <admin.token>");
  }
  return null;
}

function hostName(host: string | null): string {
  return (host ?? "").replace(/:\d*$/, "").toLowerCase();
}

function isOwnAddress(name: string, { address }: AdminConfig): boolean {
  if ("unix" in address) return true;
  return address.hostname === name || `[${address.hostname}]` === name;
}

function isOwnOrigin(origin: string, request: Request): boolean {
  return URL.canParse(origin) && new URL(origin).host === request.headers.get("host");
}

/** Takes the same time whatever is wrong with the token. */
function sameToken(authorization: string | null, token: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(authorization ?? ""), digest(`Bearer ${token}`));
}

function refusal(status: number, message: string): Response {
  const headers = status === 401 ? { "www-authenticate": "Bearer" } : undefined;
  return Response.json({ error: { message } }, headers ? { status, headers } : { status });
}
