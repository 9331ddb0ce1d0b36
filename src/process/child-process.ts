import { orphanFreeEnvironment, selfCommand } from "./self.ts";

/** A child of ours that runs the user's code for as long as we live, as its owner sees it. */
export interface ChildProcess<Message> {
  readonly pid: number;
  /** Throws when the channel is closed. */
  send(message: Message): void;
  /** SIGKILL. */
  kill(): void;
}

/** How a process ended: one of the two is null. */
export interface ChildExit {
  readonly code: number | null;
  readonly signal: string | null;
}

export interface ChildEvents {
  /** Anything at all: the user's code can send, too. */
  onMessage(message: unknown): void;
  /** Called once. */
  onExit(exit: ChildExit): void;
}

/**
 * Starts this program with a hidden sub-command. Throws when the machine has no room for a process.
 *
 * `memoryBytes` is what it may take. To JavaScriptCore that is the machine's memory: on one of 16 GB and more it
 * would let garbage grow to three times what lives, and what is streamed is garbage soon.
 */
export function spawnChild<Message>(
  command: "__worker" | "__shadow",
  memoryBytes: number,
  { onMessage, onExit }: ChildEvents,
): ChildProcess<Message> {
  const child = Bun.spawn(selfCommand([command]), {
    // What a list of processes shows: the command may be a path that says nothing.
    argv0: process.execPath,
    // The user's own wish goes before.
    env: { BUN_JSC_forceRAMSize: String(memoryBytes), ...orphanFreeEnvironment() },
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
    serialization: "advanced",
    ipc: onMessage,
    onExit: ({ signalCode }, code) =>
      onExit({ code, signal: signalCode === null ? null : String(signalCode) }),
  });
  return {
    pid: child.pid,
    send: (message) => void child.send(message),
    kill: () => child.kill("SIGKILL"),
  };
}
