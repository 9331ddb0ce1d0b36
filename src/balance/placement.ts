import type { Candidates, RequestInfo } from "../plugin.ts";
import type { PoolBackend } from "../pool/backend.ts";
import type { Pool } from "../pool/pool.ts";
import type { PendingNotes } from "../strategy/attempt-notes.ts";
import { SLOW_PICK_MS, type StrategyHost } from "../strategy/host.ts";
import { PickRecord } from "../strategy/pick-record.ts";
import { type Admission, admit } from "./admission.ts";
import { type NoCandidates, selectCandidates } from "./candidates.ts";
import { type Decision, explain } from "./decision.ts";
import { admitSession } from "./session-place.ts";

/** A backend that was picked, with the right to send to it. */
export interface Placement {
  readonly backend: PoolBackend;
  readonly admission: Admission;
  /** Those that there were to pick from, in the pool's order. */
  readonly candidates: readonly PoolBackend[];
  readonly failOpen: boolean;
  /** Least connections answered because the strategy could not. */
  readonly fallback: boolean;
  /** The client's session is there: the strategy was not asked. */
  readonly affinity: boolean;
  /** Milliseconds that picking took; 0 unless a clock was given. */
  readonly pickMs: number;
  /** Null unless it was wanted, as are the notes. */
  readonly decision: Decision | null;
  /** What the strategy said about the attempt while it picked. */
  readonly notes: PendingNotes | null;
}

/** The strategy's own word that nobody is to get the request. */
export interface Refusal {
  readonly backend: null;
  readonly fallback: false;
  /** As of a placement. */
  readonly pickMs: number;
  /** As of a placement: those that could have been picked are its candidates. */
  readonly decision: Decision | null;
}

export type Placed = Placement | Refusal | NoCandidates;

/** Why a request has no backend; `refused` is the strategy's own word. */
export type NoPlacement = NoCandidates | "refused";

export interface PlacementOptions {
  readonly pool: Pool;
  readonly host: StrategyHost;
  /** The cell in the counters that the lease goes to. */
  readonly worker: number;
  readonly request: RequestInfo;
  /** 1 for the first. */
  readonly attempt: number;
  readonly tried: ReadonlySet<PoolBackend>;
  /** Where the client's session is; null: it has none. */
  readonly session: PoolBackend | null;
  /** Null: nobody wants to know how long picking takes. */
  readonly now: (() => number) | null;
  readonly wantsDecision: boolean;
}

/**
 * Candidates, pick and lease in one tick. A candidate that another worker was quicker with is dropped
 * and the strategy asked again, for the same attempt.
 */
export function place(options: PlacementOptions): Placed {
  const { pool, host, worker, request, attempt, tried, session, now, wantsDecision } = options;
  if (session !== null && !tried.has(session)) {
    const placed = placeSession(options, session);
    if (placed !== null) return placed;
  }
  const record = wantsDecision ? new PickRecord() : null;
  let pickMs = 0;
  let dropped: Set<PoolBackend> | null = null;
  for (let lastLook = false; ;) {
    const { candidates, failOpen, none } = selectCandidates(pool, dropped ?? tried);
    if (none === "tried" && dropped !== null && !lastLook) {
      // Others took every place first. The state has moved on, perhaps to failing open.
      lastLook = true;
      dropped = null;
      continue;
    }
    if (none !== null) return none;
    const context = Object.freeze({ request, attempt, failOpen });
    const startedAt = now === null ? 0 : now();
    const pick = host.pick(candidates as unknown as Candidates, context, record);
    if (now !== null) {
      const tookMs = now() - startedAt;
      if (tookMs > SLOW_PICK_MS) host.pickWasSlow(tookMs);
      pickMs += tookMs;
    }
    const decision =
      record === null
        ? null
        : explain({ pool, candidates, scores: record.scores, tried, failOpen });
    if (pick.backend === null) return { backend: null, fallback: false, pickMs, decision };
    const backend = pick.backend as PoolBackend;
    const admission = admit(pool, backend, worker, failOpen);
    if (admission !== null) {
      return {
        backend,
        admission,
        candidates,
        failOpen,
        fallback: pick.fallback,
        affinity: false,
        pickMs,
        decision,
        notes: record?.notes ?? null,
      };
    }
    dropped ??= new Set(tried);
    dropped.add(backend);
  }
}

/** Null: the strategy has to find another backend. */
function placeSession(
  { pool, worker, tried, wantsDecision }: PlacementOptions,
  backend: PoolBackend,
): Placement | null {
  const { candidates, failOpen } = selectCandidates(pool, tried);
  const decision = wantsDecision
    ? explain({ pool, candidates, scores: [], tried, failOpen, affinity: true })
    : null;
  const admission = admitSession(pool, backend, worker, { candidates, failOpen });
  if (admission === null) return null;
  return {
    backend,
    admission,
    candidates,
    failOpen,
    fallback: false,
    affinity: true,
    pickMs: 0,
    decision,
    notes: null,
  };
}
