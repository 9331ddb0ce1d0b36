import type { LogFields, Logger } from "../../src/log.ts";

export interface RecordedLine {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

/** A logger that keeps what it is told. */
export class RecordedLog implements Logger {
  readonly lines: RecordedLine[] = [];

  debug(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: "debug", message, fields });
  }

  info(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: "info", message, fields });
  }

  warn(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: "warn", message, fields });
  }

  error(message: string, fields: LogFields = {}): void {
    this.lines.push({ level: "error", message, fields });
  }

  /** Messages of info and above. */
  get messages(): string[] {
    return this.lines.filter(({ level }) => level !== "debug").map(({ message }) => message);
  }
}
