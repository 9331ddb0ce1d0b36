import type { Placement } from "../balance/placement.ts";
import type { RequestInfo } from "../plugin.ts";
import type { Forwarding } from "./forwarding.ts";
import type { AttemptFacts, RetryReason } from "./observer.ts";
import { hostFor } from "./outgoing-request.ts";
import type { FrontRequest } from "./front.ts";
import type { ServingPool } from "./serving-pool.ts";
import type { ShadowedAttempt } from "./shadow-feed.ts";

/** What observers are told of an attempt that has its lease. */
export function attemptFacts(
  { pool, host, config }: ServingPool,
  { info, forwarding }: { readonly info: RequestInfo; readonly forwarding: Forwarding },
  { backend, candidates, fallback, affinity, pickMs, decision }: Placement,
  { number, retryReason }: { readonly number: number; readonly retryReason: RetryReason | null },
): AttemptFacts {
  return {
    number,
    retryReason,
    pool: pool.name,
    backend,
    strategy: host,
    candidates: candidates.length,
    inFlight: backend.inFlight - 1,
    fallback,
    affinity,
    pickMs,
    decision,
    target: forwarding.target,
    host: hostFor(backend, info.host, config.hostHeader),
  };
}

/** What shadows are shown of it. */
export function shadowedAttempt(
  { pool: { backends } }: ServingPool,
  { info, front }: { readonly info: RequestInfo; readonly front: FrontRequest },
  { backend, candidates, failOpen, affinity }: Placement,
  { id, number }: { readonly id: number; readonly number: number },
): ShadowedAttempt {
  const { headers } = front;
  const request = info;
  return { id, number, backend, affinity, backends, candidates, failOpen, request, headers };
}
