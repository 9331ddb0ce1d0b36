import type { ShadowFigures } from "../../strategy/shadow/figures.ts";
import { backendLabels, type NamedBackend } from "./backend-labels.ts";
import {
  SHADOW_ACTIVE,
  SHADOW_DROPPED,
  SHADOW_FAULTS,
  SHADOW_PICK_DURATION,
  SHADOW_PICKS,
  SHADOW_REQUESTS,
  SHADOW_RUNNING,
} from "./instruments.ts";
import type { Totals } from "./totals.ts";

/** A shadow with what its process tells. */
export interface ShadowFacts {
  readonly pool: string;
  readonly strategy: string;
  /** Its place among the shadows of its pool. */
  readonly index: number;
  readonly running: boolean;
  /** Of its pool. */
  readonly backends: readonly NamedBackend[];
  /** Null: nothing is known. */
  readonly figures: ShadowFigures | null;
}

export function addShadow(totals: Totals, shadow: ShadowFacts): void {
  const { pool, strategy, index, running, figures } = shadow;
  totals.addNumber(SHADOW_RUNNING, [pool, strategy, index], Number(running));
  retireShadow(totals, shadow);
  for (const { id, shadow: projected } of figures?.backends ?? []) {
    const labels = labelsOf(shadow, id);
    if (labels !== null) totals.addNumber(SHADOW_ACTIVE, labels, projected.inFlight.now);
  }
}

/** What only grows. */
export function retireShadow(totals: Totals, shadow: ShadowFacts): void {
  const { pool, strategy, index, figures } = shadow;
  if (figures === null) return;
  const labels = [pool, strategy, index];
  const { picks, agreed, refused, fallbacks, faults, dropped, pickMs, backends } = figures;
  const differed = picks - agreed - refused - fallbacks;
  const results = { agreed, differed, refused, fallback: fallbacks };
  for (const [result, count] of Object.entries(results)) {
    totals.addNumber(SHADOW_PICKS, [result, ...labels], count);
  }
  totals.addNumber(SHADOW_FAULTS, labels, faults);
  totals.addNumber(SHADOW_DROPPED, labels, dropped);
  // The strategy has a hand in what its process tells.
  if (pickMs !== null && pickMs.buckets.length === SHADOW_PICK_DURATION.bounds.length + 1) {
    const values = Float64Array.of(pickMs.sum / 1000, ...pickMs.buckets);
    const text = JSON.stringify(labels);
    totals.add([{ instrument: SHADOW_PICK_DURATION, text, values, exemplars: [] }]);
  }
  for (const { id, shadow: projected } of backends) {
    const backend = labelsOf(shadow, id);
    if (backend !== null) totals.addNumber(SHADOW_REQUESTS, backend, projected.requests);
  }
}

/** Null: the pool has no such backend. */
function labelsOf({ pool, strategy, index, backends }: ShadowFacts, id: string) {
  const backend = backends.find((each) => each.id === id);
  return backend === undefined ? null : [strategy, index, ...backendLabels(pool, backend)];
}
