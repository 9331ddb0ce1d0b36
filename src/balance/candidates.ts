import { configOf, type PoolBackend, rowOf } from "../pool/backend.ts";
import {
  type Counters,
  EJECTION_NONE,
  EJECTION_TRIAL_OPEN,
  PROBE_UNHEALTHY,
} from "../pool/counters.ts";
import type { Pool } from "../pool/pool.ts";

/** The backends that this request has been sent to, or that were dropped for it. */
export interface Tried {
  readonly size: number;
  has(backend: PoolBackend): boolean;
}

/**
 * Why there is no candidate. `draining`: every backend is taken out, or removed by a reload. `down`: probes find all others
 * ill. `full`: one is there but at its limit, so waiting helps. `tried`: nothing is left to try.
 */
export type NoCandidates = "draining" | "down" | "full" | "tried";

export interface Selection {
  /** In the pool's order. */
  readonly candidates: readonly PoolBackend[];
  /** Every backend that could serve is ejected: requests are sent anyway. */
  readonly failOpen: boolean;
  /** Null when there are candidates. */
  readonly none: NoCandidates | null;
}

/**
 * The backends that may get this request now.
 *
 * A backend whose trial is open is among them, and `admit` decides who makes the trial. When `admit`
 * refuses every candidate, select again: the state has moved on, perhaps to failing open.
 */
export function selectCandidates(pool: Pool, tried: Tried): Selection {
  if (tried.size === 0 && areAllAvailable(pool)) {
    return { candidates: pool.primaries, failOpen: false, none: null };
  }
  return selectFromSome(pool, tried);
}

/**
 * The everyday case, on every request: no list is built for it. `admit` sees who is removed; how
 * backups are is of no interest then.
 */
function areAllAvailable({ primaries, counters }: Pool): boolean {
  for (const backend of primaries) {
    const row = rowOf(backend);
    if (counters.draining(row) || isProbeDown(counters, row) || isEjected(counters, row))
      return false;
    if (isFull(backend)) return false;
  }
  return true;
}

function selectFromSome({ backends, counters }: Pool, tried: Tried): Selection {
  const inService = backends.filter((backend) => !backend.draining);
  if (inService.length === 0) return nobody("draining");
  const alive = inService.filter((backend) => !isProbeDown(counters, rowOf(backend)));
  if (alive.length === 0) return nobody("down");
  const trusted = alive.filter((backend) => !isEjected(counters, rowOf(backend)));
  const failOpen = trusted.length === 0;
  const untried = (failOpen ? alive : trusted).filter((backend) => !tried.has(backend));
  if (untried.length === 0) return nobody("tried", failOpen);
  const candidates = untried.filter((backend) => !isFull(backend));
  if (candidates.length === 0) return nobody("full", failOpen);
  return { candidates: preferred(candidates), failOpen, none: null };
}

/** Backups only where there is nobody else: in nginx, too, those that were tried are nobody. */
function preferred(candidates: readonly PoolBackend[]): readonly PoolBackend[] {
  const primaries = candidates.filter((backend) => !configOf(backend).backup);
  return primaries.length === 0 ? candidates : primaries;
}

/** Why a backend is not among the candidates. `backup`: others are there. */
export type Exclusion = "draining" | "down" | "ejected" | "tried" | "full" | "backup";

/** For a backend that is no candidate of a selection with these `tried` and this `failOpen`. */
export function exclusionOf(
  { counters }: Pool,
  backend: PoolBackend,
  tried: Tried,
  failOpen: boolean,
): Exclusion {
  const row = rowOf(backend);
  if (backend.draining) return "draining";
  if (isProbeDown(counters, row)) return "down";
  // Before `ejected`: it may be this request's own attempt that it was ejected for.
  if (tried.has(backend)) return "tried";
  if (!failOpen && isEjected(counters, row)) return "ejected";
  if (configOf(backend).backup && !isFull(backend)) return "backup";
  // At its limit, or another worker took the last place a moment ago.
  return "full";
}

/** Apart from draining: whether it may get requests that nobody else gets in its place. */
export function isAbleToServe({ counters }: Pool, backend: PoolBackend): boolean {
  const row = rowOf(backend);
  return !isProbeDown(counters, row) && !isEjected(counters, row) && !isFull(backend);
}

export function countEjected({ backends, counters }: Pool): number {
  let ejected = 0;
  for (const backend of backends) if (isEjected(counters, rowOf(backend))) ejected++;
  return ejected;
}

const NOBODY: readonly PoolBackend[] = [];

function nobody(none: NoCandidates, failOpen = false): Selection {
  return { candidates: NOBODY, failOpen, none };
}

function isProbeDown(counters: Counters, row: number): boolean {
  return counters.probe(row) === PROBE_UNHEALTHY;
}

/** Somebody else's trial counts as ejected: one request is enough to find out. */
function isEjected(counters: Counters, row: number): boolean {
  const state = counters.ejection(row);
  return state !== EJECTION_NONE && state !== EJECTION_TRIAL_OPEN;
}

function isFull(backend: PoolBackend): boolean {
  const limit = configOf(backend).maxInFlight;
  return limit !== null && backend.inFlight >= limit;
}
