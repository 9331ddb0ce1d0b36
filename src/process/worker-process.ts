import type { ToWorker } from "./messages.ts";
import { orphanFreeEnvironment, selfCommand } from "./self.ts";

/** What the master needs of a worker's process. */
export interface WorkerProcess {
  readonly pid: number;
  /** Throws when the channel is closed. */
  send(message: ToWorker): void;
  /** SIGKILL. */
  kill(): void;
}

export interface WorkerProcessEvents {
  /** Anything at all: the user's code can send, too. */
  onMessage(message: unknown): void;
  /** Called once. */
  onExit(reason: string): void;
}

/** Throws when the machine has no room for a process. Never calls back before it returns. */
export type SpawnWorker = (events: WorkerProcessEvents) => WorkerProcess;

/** Starts this program as a worker. */
export const spawnWorker: SpawnWorker = ({ onMessage, onExit }) => {
  const child = Bun.spawn(selfCommand(["__worker"]), {
    // What a list of processes shows: the command may be a path that says nothing.
    argv0: process.execPath,
    env: orphanFreeEnvironment(),
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
    serialization: "advanced",
    ipc: onMessage,
    onExit: (_child, code, signal) =>
      onExit(signal === null ? `exit code ${code}` : `signal ${signal}`),
  });
  return {
    pid: child.pid,
    send: (message) => void child.send(message),
    kill: () => child.kill("SIGKILL"),
  };
};
