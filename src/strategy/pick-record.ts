import { PendingNotes } from "./attempt-notes.ts";

/** What a pick leaves behind for a trace; handed to the host only when one is wanted. */
export class PickRecord {
  /** Of each candidate, in their order; empty when the strategy picks without scores. */
  readonly scores: number[] = [];
  readonly notes = new PendingNotes();
}
