import type { Placement, Refusal } from "../balance/placement.ts";
import type { RequestInfo } from "../plugin.ts";
import type { Pool } from "../pool/pool.ts";
import type { ReadFields } from "./header-reads.ts";

/** Takes decisions of one pool, for those who ask later. Must not throw. */
export interface DecisionSink {
  /** Whether the next decision is wanted though nobody else wants it. Read at every pick. */
  readonly due: boolean;
  /** Every decision that was made, whoever it was made for. */
  take(made: MadeDecision): void;
}

export interface MadeDecision {
  readonly pool: Pool;
  readonly strategy: { readonly name: string; readonly version: string };
  readonly request: RequestInfo;
  /** What the strategy has looked at of the request's header. */
  readonly read: ReadFields;
  readonly placed: Placement | Refusal;
  /** 1 for the first attempt. */
  readonly attempt: number;
  readonly traceId: string | null;
}
