import type { Config } from "../config/config.ts";
import { asProxyError, ProxyError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { RequestInfo } from "../plugin.ts";
import { AttemptLoop, type AttemptLoopContext } from "./attempt-loop.ts";
import { createTrust, findClientAddress, withoutMapping } from "./client-address.ts";
import { errorAnswer } from "./error-answer.ts";
import { readRequestId } from "./forwarding.ts";
import type { FrontRequest, Handler } from "./front.ts";
import type { HeaderReads } from "./header-reads.ts";
import { lastHopAnswer } from "./max-forwards.ts";
import type { RequestObserver } from "./observer.ts";
import { bodyTooLarge } from "./request-body.ts";
import { endOfFailure, endOfOwnAnswer } from "./request-end.ts";
import { createRouter, type Routed, type Router, withoutPrefix } from "./router.ts";
import type { ServingPool } from "./serving-pool.ts";
import { validateRequest } from "./validation.ts";
import { pseudonymOf, refuseLoop } from "./via.ts";

export interface HandlerOptions {
  readonly config: Pick<Config, "routes" | "pools" | "trustedProxies" | "requestId">;
  readonly pools: ReadonlyMap<string, ServingPool>;
  readonly context: AttemptLoopContext;
  /** Null: nobody watches. */
  readonly observer: RequestObserver | null;
  readonly log: Logger;
  /** Unique over the whole program: the start of every request id that this worker makes. */
  readonly requestIdPrefix: string;
  /** Names the whole program, all its workers, for other proxies. */
  readonly instance: string;
}

/** Validates, routes, and hands the request to its pool; every failure becomes an answer. */
export function createHandler(options: HandlerOptions): Handler {
  const { context, pools, observer, log } = options;
  const { config } = options;
  const router = createRouter(config);
  const isTrusted = createTrust(config.trustedProxies);
  const pseudonym = pseudonymOf(options.instance);
  let requests = 0;

  return async (front) => {
    requests++;
    const host = front.headers.get("host") ?? "";
    const peerAddress = withoutMapping(front.peerAddress);
    const trusted = isTrusted(peerAddress);
    const requestId =
      (trusted && config.requestId ? readRequestId(front.headers.get("x-request-id")) : null) ??
      `${options.requestIdPrefix}${requests.toString(36)}`;
    const forwardedFor = trusted ? front.headers.get("x-forwarded-for") : null;
    const clientAddress = findClientAddress(peerAddress, forwardedFor, isTrusted);
    const info = requestInfo(front, host, clientAddress, context.headerReads);
    const startedAt = observer === null ? 0 : context.now();
    const observed =
      observer?.requestStarted({
        request: front,
        host,
        clientAddress,
        requestId,
        trustedPeer: trusted,
        startedAt,
      }) ?? null;
    let loop: AttemptLoop | null = null;
    try {
      if (front.refused) throw overloaded();
      validateRequest(front);
      refuseLoop(front, pseudonym);
      const own = lastHopAnswer(front);
      if (own !== null) {
        observed?.ended(endOfOwnAnswer(own, context.now() - startedAt));
        return own;
      }
      const routed = route(router, info);
      const serving = pools.get(routed.pool);
      if (serving === undefined) throw new Error(`no pool is called ${routed.pool}`);
      observed?.routed(routed.pool, routed.route);
      refuseLargeBody(front, serving);
      loop = new AttemptLoop(context, serving, {
        front,
        info,
        forwarding: {
          target: withoutPrefix(front.target, routed),
          peerAddress,
          trusted,
          requestId: config.requestId ? requestId : null,
          pseudonym,
        },
        observed,
        startedAt,
      });
      return await loop.run();
    } catch (error) {
      const failure = logged(asProxyError(error), log);
      const answer = errorAnswer(failure, front, requestId);
      observed?.ended(
        endOfFailure(failure, answer, {
          method: front.method,
          tookMs: context.now() - startedAt,
          requestBytes: loop?.requestBytes ?? 0,
        }),
      );
      return answer;
    }
  };
}

function requestInfo(
  front: FrontRequest,
  host: string,
  clientAddress: string,
  reads: HeaderReads | undefined,
): RequestInfo {
  const { target } = front;
  const mark = target.indexOf("?");
  const { headers } = front;
  return Object.freeze({
    method: front.method,
    path: mark < 0 ? target : target.slice(0, mark),
    query: mark < 0 ? "" : target.slice(mark + 1),
    host,
    // Not the object itself: a strategy must not be able to change what the backend gets.
    headers: Object.freeze({
      get(name: string) {
        reads?.note(headers, name);
        return headers.get(name);
      },
      has(name: string) {
        reads?.note(headers, name);
        return headers.has(name);
      },
    }),
    clientAddress,
  });
}

function route(router: Router, info: RequestInfo): Routed {
  const routed = router(info.host, info.path);
  if (routed === null) {
    throw new ProxyError("no_route", "no route matches this host and path", { source: "proxy" });
  }
  return routed;
}

function overloaded(): ProxyError {
  const message = "the proxy has no room for another connection";
  return new ProxyError("overloaded", message, { source: "proxy" });
}

function refuseLargeBody(front: FrontRequest, serving: ServingPool): void {
  const { maxBytes } = serving.config.body;
  if (Number(front.headers.get("content-length") ?? 0) > maxBytes) throw bodyTooLarge(maxBytes);
}

function logged(failure: ProxyError, log: Logger): ProxyError {
  if (failure.code === "internal_error") {
    const { cause } = failure;
    log.error("the proxy failed", {
      error: cause instanceof Error ? (cause.stack ?? cause.message) : String(cause),
    });
  }
  return failure;
}
