import { renameSync, statSync, unlinkSync } from "node:fs";

/** The name under which a listener waits until it is the one that clients should find. */
export function waitingName(path: string): string {
  return `${path}~`;
}

/**
 * The unix socket of a listener. It is bound beside its path and renamed to it, which leaves no moment without
 * one: whoever listened there before is not found any more, and serves on whom it has.
 */
export class SocketFile {
  readonly #path: string;
  readonly #inode: number;

  /** To be made when the listener is bound under its `waitingName`. */
  constructor(path: string) {
    this.#path = path;
    this.#inode = statSync(waitingName(path)).ino;
  }

  publish(): void {
    renameSync(waitingName(this.#path), this.#path);
  }

  /** Bun removes the name that it was told when it binds, which is not there any more. */
  remove(): void {
    const found = statSync(this.#path, { throwIfNoEntry: false });
    // A successor's has another number.
    if (found?.ino === this.#inode) unlinkSync(this.#path);
  }
}
