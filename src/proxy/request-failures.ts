/** What the attempt loop itself ends a request with. */
import type { NoPlacement } from "../balance/placement.ts";
import { ProxyError } from "../errors.ts";

const NOT_PLACED: Record<NoPlacement, string> = {
  draining: "every backend of the pool is draining",
  down: "every backend of the pool is down",
  full: "every backend of the pool is at its limit",
  tried: "no further backend is available",
  refused: "the strategy refused the request",
};

export function notPlaced(why: NoPlacement): ProxyError {
  const code = why === "refused" ? "strategy_refused" : "no_backend_available";
  return new ProxyError(code, NOT_PLACED[why], { source: "proxy" });
}

export function clientGone(): ProxyError {
  return new ProxyError("client_gone", "the client went away", { source: "client" });
}

/** `waiting`: all that the backend had to do was answer. Else it may be the client that was slow. */
export function overdue(waiting: boolean): ProxyError {
  return new ProxyError("request_timeout", "the request took longer than timeouts.request", {
    source: waiting ? "backend" : "client",
  });
}
