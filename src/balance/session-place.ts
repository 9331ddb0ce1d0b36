import type { PoolBackend } from "../pool/backend.ts";
import type { Pool } from "../pool/pool.ts";
import { type Admission, admit } from "./admission.ts";
import { isAbleToServe, type Selection } from "./candidates.ts";

/**
 * A place for a request whose session is at this backend; null when the strategy has to find one. The
 * backend must be a candidate like any other, or draining: what the operator takes out keeps the
 * sessions that it has until it is gone. A backup is none while others are there.
 */
export function admitSession(
  pool: Pool,
  backend: PoolBackend,
  worker: number,
  { candidates, failOpen }: Pick<Selection, "candidates" | "failOpen">,
): Admission | null {
  if (candidates.includes(backend)) return admit(pool, backend, worker, failOpen);
  if (!backend.draining || !isAbleToServe(pool, backend)) return null;
  return admit(pool, backend, worker, false);
}
