/**
 * How the request path shows attempts to strategies that place nothing, without knowing where those
 * are. Every method must return at once and never throw.
 */
import type { AttemptEnd, AttemptHead, Backend, RequestInfo } from "../plugin.ts";
import type { HeaderField } from "./front.ts";
import type { RequestHeaders } from "./request-fields.ts";

/** One pool's. */
export interface ShadowFeed {
  /** Asked once for each attempt: whether it is to be shown. */
  takes(): boolean;
  /** One that it takes: its lease is taken, and nothing is sent yet. Null: it cannot be shown after all. */
  attemptStarting(facts: ShadowedAttempt): SampledAttempt | null;
}

export interface ShadowedAttempt {
  /** Unique in the worker. */
  readonly id: number;
  /** 1 for the first. */
  readonly number: number;
  readonly backend: Backend;
  /** The client's session is there: the acting strategy was not asked. */
  readonly affinity: boolean;
  /** The pool's; one list from reload to reload. */
  readonly backends: readonly Backend[];
  /** Those that the acting strategy could pick, in the same order. */
  readonly candidates: readonly Backend[];
  readonly failOpen: boolean;
  readonly request: RequestInfo;
  readonly headers: RequestHeaders;
}

/** An attempt that is shown; `ended` comes exactly once. */
export interface SampledAttempt {
  responded(head: AttemptHead, fields: readonly HeaderField[]): void;
  ended(end: AttemptEnd): void;
}
