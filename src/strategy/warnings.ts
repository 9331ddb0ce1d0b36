import type { LogFields, Logger } from "../log.ts";

/** A strategy that does something wrong does it with every request, and may word it anew each time. */
const MAX_WARNINGS = 8;

/** What a strategy is told once: each message one time, and few of them. */
export class Warnings {
  readonly #log: Logger;
  readonly #fields: LogFields;
  readonly #said = new Set<string>();

  constructor(log: Logger, fields: LogFields) {
    this.#log = log;
    this.#fields = fields;
  }

  warn(message: string, more: LogFields = {}): void {
    if (this.#said.size >= MAX_WARNINGS || this.#said.has(message)) return;
    this.#said.add(message);
    this.#log.warn(message, { ...this.#fields, ...more });
  }
}
