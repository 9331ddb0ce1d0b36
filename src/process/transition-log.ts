import type { LogFields, Logger } from "../log.ts";

/** Lines about one backend within a window; what comes after is counted. */
const MOST = 5;
const WINDOW_MS = 60_000;
const MOST_WINDOWS = 1000;

interface Window {
  sinceMs: number;
  lines: number;
  unsaid: number;
}

/** Logs what becomes of backends, without letting one that flaps fill the disk. */
export class TransitionLog {
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #windows = new Map<string, Window>();

  constructor(log: Logger, now: () => number) {
    this.#log = log;
    this.#now = now;
  }

  write(level: "info" | "warn", message: string, backend: string, fields: LogFields): void {
    const window = this.#window(backend);
    if (window.lines === MOST) {
      window.unsaid++;
      if (window.unsaid > 1) return;
      const { pool = null } = fields;
      this.#log.warn("backend changes too often, its next changes are only counted", {
        pool,
        backend,
        seconds: WINDOW_MS / 1000,
      });
      return;
    }
    window.lines++;
    const { unsaid } = window;
    window.unsaid = 0;
    const all = { backend, ...fields };
    this.#log[level](message, unsaid === 0 ? all : { ...all, changesNotLogged: unsaid });
  }

  #window(backend: string): Window {
    const nowMs = this.#now();
    let window = this.#windows.get(backend);
    if (window === undefined) {
      if (this.#windows.size >= MOST_WINDOWS) this.#forget(nowMs);
      window = { sinceMs: nowMs, lines: 0, unsaid: 0 };
      this.#windows.set(backend, window);
    } else if (nowMs - window.sinceMs >= WINDOW_MS) {
      window.sinceMs = nowMs;
      window.lines = 0;
    }
    return window;
  }

  /** Reloads may bring other backends every day. */
  #forget(nowMs: number): void {
    for (const [backend, { sinceMs, unsaid }] of this.#windows) {
      if (nowMs - sinceMs >= WINDOW_MS && unsaid === 0) this.#windows.delete(backend);
    }
  }
}
