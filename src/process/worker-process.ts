import { type ChildProcess, spawnChild } from "./child-process.ts";
import type { ToWorker } from "./messages.ts";

/** What the master needs of a worker's process. */
export type WorkerProcess = ChildProcess<ToWorker>;

export interface WorkerProcessEvents {
  /** Anything at all: the user's code can send, too. */
  onMessage(message: unknown): void;
  /** Called once. */
  onExit(reason: string): void;
}

/** Throws when the machine has no room for a process. Never calls back before it returns. */
export type SpawnWorker = (events: WorkerProcessEvents) => WorkerProcess;

/** Starts this program as a worker, with what it may take of memory. */
export function spawnWorker(
  { onMessage, onExit }: WorkerProcessEvents,
  memoryBytes: number,
): WorkerProcess {
  return spawnChild("__worker", memoryBytes, {
    onMessage,
    onExit: ({ code, signal }) =>
      onExit(signal === null ? `exit code ${code}` : `signal ${signal}`),
  });
}
