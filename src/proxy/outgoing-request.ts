/** The request as one attempt sends it to its backend. */
import { authorityOf } from "../config/address.ts";
import type { HeaderRules, PoolConfig } from "../config/config.ts";
import type { RequestInfo } from "../plugin.ts";
import { configOf, type PoolBackend } from "../pool/backend.ts";
import type { OutgoingRequest } from "../transport/exchange.ts";
import type { AttemptRun } from "./attempt.ts";
import type { Forwarding } from "./forwarding.ts";
import type { FrontRequest } from "./front.ts";
import { requestHead } from "./headers.ts";
import type { RequestBody } from "./request-body.ts";

export interface OutgoingRequestOptions {
  readonly request: {
    readonly front: FrontRequest;
    readonly info: RequestInfo;
    readonly forwarding: Forwarding;
  };
  readonly run: AttemptRun;
  readonly hostHeader: PoolConfig["hostHeader"];
  readonly rules: HeaderRules;
  /** Given to each attempt from its first byte on. */
  readonly body: RequestBody | null;
  readonly fresh: boolean;
}

export function outgoingRequest(options: OutgoingRequestOptions): OutgoingRequest {
  const { request, run, hostHeader, rules, body, fresh } = options;
  const { front, info, forwarding } = request;
  const framing = framingOf(front);
  return {
    method: front.method,
    head: requestHead(front, {
      host: hostFor(run.backend, info.host, hostHeader),
      clientHost: info.host,
      forwarding,
      rules,
      framing,
      set: run.observed?.headers ?? [],
      remove: run.observed?.removed ?? [],
    }),
    body: body?.pass() ?? null,
    bodyLength: typeof framing === "number" ? framing : null,
    fresh,
    onConnect: (durationMs) => run.observed?.connected(durationMs),
  };
}

/** The `Host` that a backend gets. */
export function hostFor(
  backend: PoolBackend,
  clientHost: string,
  hostHeader: PoolConfig["hostHeader"],
): string {
  if (hostHeader === "preserve" && clientHost !== "") return clientHost;
  return authorityOf(configOf(backend).address);
}

/** A length, `chunked`, or null when the request has no body and says nothing about it. */
function framingOf(front: FrontRequest): number | "chunked" | null {
  const length = front.headers.get("content-length");
  if (length !== null) return Number(length);
  return front.body === null ? null : "chunked";
}
