import { orphanFreeEnvironment, selfCommand } from "../self.ts";
import type { ToShadow } from "./messages.ts";

/** What the master needs of a shadow's process. */
export interface ShadowProcess {
  readonly pid: number;
  /** Throws when the channel is closed. */
  send(message: ToShadow): void;
  /** SIGKILL. */
  kill(): void;
}

/** How a process ended: one of the two is null. */
export interface ShadowExit {
  readonly code: number | null;
  readonly signal: string | null;
}

export interface ShadowProcessEvents {
  /** Anything at all: the user's code can send, too. */
  onMessage(message: unknown): void;
  /** Called once. */
  onExit(exit: ShadowExit): void;
}

/** Throws when the machine has no room for a process. Never calls back before it returns. */
export type SpawnShadow = (events: ShadowProcessEvents) => ShadowProcess;

/** Starts this program as a shadow. */
export const spawnShadow: SpawnShadow = ({ onMessage, onExit }) => {
  const child = Bun.spawn(selfCommand(["__shadow"]), {
    argv0: process.execPath,
    env: orphanFreeEnvironment(),
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
    serialization: "advanced",
    ipc: onMessage,
    onExit: (ended, code) =>
      onExit({ code, signal: ended.signalCode === null ? null : String(ended.signalCode) }),
  });
  return {
    pid: child.pid,
    send: (message) => void child.send(message),
    kill: () => child.kill("SIGKILL"),
  };
};
