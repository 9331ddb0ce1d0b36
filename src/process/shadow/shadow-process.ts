import { type ChildEvents, type ChildProcess, spawnChild } from "../child-process.ts";
import type { ToShadow } from "./messages.ts";

/** What the master needs of a shadow's process. */
export type ShadowProcess = ChildProcess<ToShadow>;

/** Throws when the machine has no room for a process. Never calls back before it returns. */
export type SpawnShadow = (events: ChildEvents) => ShadowProcess;

/** Starts this program as a shadow, with what it may take of memory. */
export function spawnShadow(events: ChildEvents, memoryBytes: number): ShadowProcess {
  return spawnChild("__shadow", memoryBytes, events);
}
