import type { Placement } from "../balance/placement.ts";
import type { RequestInfo } from "../plugin.ts";
import type { Forwarding } from "./forwarding.ts";
import type { AttemptFacts, RetryReason } from "./observer.ts";
import { hostFor } from "./outgoing-request.ts";
import type { ServingPool } from "./serving-pool.ts";

/** What observers are told of an attempt that has its lease. */
export function attemptFacts(
  { pool, host, config }: ServingPool,
  { info, forwarding }: { readonly info: RequestInfo; readonly forwarding: Forwarding },
  { backend, candidates, fallback, pickMs, decision }: Placement,
  { number, retryReason }: { readonly number: number; readonly retryReason: RetryReason | null },
): AttemptFacts {
  return {
    number,
    retryReason,
    pool: pool.name,
    backend,
    strategy: host,
    candidates,
    inFlight: backend.inFlight - 1,
    fallback,
    pickMs,
    decision,
    target: forwarding.target,
    host: hostFor(backend, info.host, config.hostHeader),
  };
}
