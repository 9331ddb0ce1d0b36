/** What a shadow is told of a request, in the words of the worker that serves it. Plain data. */
import type { Outcome } from "../../plugin.ts";
import type { CandidateMask } from "./candidate-mask.ts";

/** Names and values of header fields, one after the other; a name may come twice. */
export type FactFields = readonly string[];

export interface PickFact {
  readonly kind: "pick";
  /** Of the attempt; unique in the worker. */
  readonly id: number;
  readonly pool: string;
  /** Requests that the worker has begun to send for this pool so far, this one included, sampled or not. */
  readonly seen: number;
  /** 1 for the first attempt of a request. */
  readonly attempt: number;
  readonly failOpen: boolean;
  /** Null: all of the pool's backends; also for a session. */
  readonly candidates: CandidateMask | null;
  /** Where it was sent. */
  readonly chosen: string;
  /** The client's session was there: no strategy was asked. */
  readonly affinity: boolean;
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly query: string;
    readonly host: string;
    readonly clientAddress: string;
    readonly fields: FactFields;
  };
}

export interface HeadFact {
  readonly kind: "head";
  readonly id: number;
  readonly status: number;
  readonly firstByteMs: number;
  readonly upgraded: boolean;
  readonly fields: FactFields;
}

export interface EndFact {
  readonly kind: "end";
  readonly id: number;
  readonly outcome: Outcome;
  readonly status: number | null;
  readonly firstByteMs: number | null;
  readonly durationMs: number;
}

export type Fact = PickFact | HeadFact | EndFact;

/** A fact on the clock of the worker it comes from. */
export interface TimedFact {
  /** Monotonic milliseconds. */
  readonly atMs: number;
  readonly fact: Fact;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeFact(timed: TimedFact): Uint8Array {
  return encoder.encode(JSON.stringify(timed));
}

/** Null when the bytes are none that `encodeFact` made. */
export function decodeFact(bytes: Uint8Array): TimedFact | null {
  try {
    return JSON.parse(decoder.decode(bytes)) as TimedFact;
  } catch {
    return null;
  }
}
