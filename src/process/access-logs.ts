import type { AccessLogConfig } from "../config/config.ts";
import type { Logger } from "../log.ts";
import { AccessLog } from "../telemetry/access-log/access-log.ts";

export interface AccessLogsOptions {
  readonly now: () => number;
  readonly log: Logger;
  /** A line was lost. */
  readonly onDropped: () => void;
}

/** A worker's access log from plan to plan: it stays open as long as its part of the config does not change. */
export class AccessLogs {
  readonly #options: AccessLogsOptions;
  #current: AccessLog | null = null;
  /** Those in whose place another one is, while they still have something to write. */
  readonly #retired = new Set<AccessLog>();

  constructor(options: AccessLogsOptions) {
    this.#options = options;
  }

  /**
   * Null: none is wanted. Rejects with a RuntimeError when it cannot be written, unless the plan is
   * in force: then its file is waited for.
   */
  async prepare(config: AccessLogConfig | null, inForce = false): Promise<AccessLog | null> {
    if (config === null) return null;
    if (Bun.deepEquals(config, this.#current?.config)) return this.#current;
    return AccessLog.open({ ...this.#options, config }, inForce);
  }

  commit(prepared: AccessLog | null): void {
    if (prepared === this.#current) return;
    this.#retire(this.#current);
    this.#current = prepared;
  }

  abort(prepared: AccessLog | null): void {
    if (prepared !== this.#current) this.#retire(prepared);
  }

  /** `prepared`: what a plan that is not committed yet has opened. */
  async reopen(prepared: AccessLog | null): Promise<void> {
    const all = new Set([this.#current, prepared, ...this.#retired]);
    await Promise.all([...all].map((each) => each?.reopen()));
  }

  /** At the stop: what waits is written, for a second at most. */
  async close(): Promise<void> {
    await Promise.all([this.#current, ...this.#retired].map((each) => each?.close()));
  }

  #retire(log: AccessLog | null): void {
    if (log === null) return;
    this.#retired.add(log);
    void log.retire().then(() => this.#retired.delete(log));
  }
}
