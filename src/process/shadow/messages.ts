/** What master and shadows say to each other over Bun's IPC. Plain data, structured-cloned. */
import type { Backend } from "../../plugin.ts";
import type { ShadowFigures } from "../../strategy/shadow/figures.ts";
import type { ShadowBackendSpec } from "../../strategy/shadow/projection.ts";
import type { PlannedStrategy } from "../messages.ts";
import type { ShadowPlan } from "./shadow-memory.ts";
import { isCount, isRecord, readFigures } from "./told-figures.ts";

/** Sent once, before anything else. */
export interface ShadowSetup {
  readonly plan: ShadowPlan;
  /** Whose pulse it has. */
  readonly slot: number;
  /** Of workers, whose rings it reads. */
  readonly columns: number;
  readonly pool: string;
  /** Its place among the shadows of its pool. */
  readonly index: number;
  readonly strategy: PlannedStrategy;
  /** As the config gives them. */
  readonly options: unknown;
  readonly backends: readonly ShadowBackendSpec[];
  readonly seed: number;
}

export type ToShadow =
  | { readonly type: "setup"; readonly setup: ShadowSetup }
  | { readonly type: "backends"; readonly backends: readonly ShadowBackendSpec[] }
  | { readonly type: "health"; readonly id: string; readonly to: Backend["health"] }
  | { readonly type: "draining"; readonly id: string; readonly draining: boolean }
  | { readonly type: "weight"; readonly id: string; readonly weight: number }
  /** A worker has ended; all that it told is in its ring. */
  | { readonly type: "workerEnded"; readonly column: number }
  | { readonly type: "report"; readonly id: number };

export type FromShadow =
  | { readonly type: "started"; readonly version: string }
  | { readonly type: "running" }
  /** It can do no more, and waits for its end. */
  | { readonly type: "stopped"; readonly reason: string; readonly figures: ShadowFigures | null }
  | { readonly type: "report"; readonly id: number; readonly figures: ShadowFigures };

/** Of a reason: the strategy has a hand in it. */
const MOST_CHARACTERS = 500;

/**
 * The message of a shadow, or null: the strategy runs in the same process and can send anything over
 * the same channel. `backends`: of its pool.
 */
export function readFromShadow(
  message: unknown,
  backends: readonly { readonly id: string }[],
): FromShadow | null {
  if (!isRecord(message)) return null;
  const { type, version, reason, id } = message;
  const figures = readFigures(message["figures"], backends);
  if (type === "started" && typeof version === "string") return { type, version };
  if (type === "running") return { type };
  if (type === "stopped" && typeof reason === "string") {
    const cut = reason.slice(0, MOST_CHARACTERS);
    return { type, reason: cut, figures };
  }
  if (type === "report" && isCount(id) && figures !== null) return { type, id, figures };
  return null;
}
